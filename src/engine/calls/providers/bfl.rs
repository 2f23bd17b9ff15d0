//! Black Forest Labs: submit, then poll the URL that the answer names, which a global host may put in a
//! region.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::engine::calls::providers::http::{Http, message};
use crate::engine::calls::providers::{Job, JobId, MediaKind, Poll, Provider, ProviderError, Submitted};

pub(super) const BASE: &str = "https://api.bfl.ai";

pub(super) struct Bfl {
    http: Http,
}

impl Bfl {
    pub(super) const fn new(http: Http) -> Self {
        Self { http }
    }
}

#[async_trait]
impl Provider for Bfl {
    async fn submit(&self, job: &Job, request_id: &str) -> Result<Submitted, ProviderError> {
        if job.kind != MediaKind::Image || job.count != 1 {
            return Err(ProviderError::Failed("it makes one image a call".into()));
        }
        let url = self.http.url(&format!("v1/{}", job.model));
        let answer = self.http.submit(url, request_id, &body(job)).await?.success(moderated)?;
        let polling_url = match (answer["polling_url"].as_str(), answer["id"].as_str()) {
            (Some(named), _) => self.http.own_url(named)?,
            (None, Some(id)) => {
                let mut url = self.http.url("v1/get_result");
                url.query_pairs_mut().append_pair("id", id);
                url
            }
            (None, None) => return Err(ProviderError::Failed("its answer names no job".into())),
        };
        Ok(Submitted::Pending(JobId(polling_url.into())))
    }

    async fn poll(&self, id: &JobId) -> Result<Poll, ProviderError> {
        let answer = self.http.get(self.http.own_url(&id.0)?).await?.success(moderated)?;
        match answer["status"].as_str().unwrap_or_default() {
            "Ready" => {
                let missing = || ProviderError::Failed("its answer names no result".into());
                let sample = answer.pointer("/result/sample").and_then(Value::as_str).ok_or_else(missing)?;
                Ok(Poll::Done(vec![self.http.download(sample).await?]))
            }
            status @ ("Request Moderated" | "Content Moderated") => {
                Err(ProviderError::Refused(status.to_lowercase()))
            }
            status @ ("Error" | "Failed" | "Task not found") => {
                Err(ProviderError::Failed(format!("{}: {}", status.to_lowercase(), message(&answer))))
            }
            _ => Ok(Poll::Running { progress: answer["progress"].as_f64().map(|progress| progress as f32) }),
        }
    }

    /// There is no way to stop a job there.
    async fn cancel(&self, _id: &JobId) -> Result<(), ProviderError> {
        Ok(())
    }
}

fn body(job: &Job) -> Value {
    let mut body = Map::from_iter([
        ("prompt".to_owned(), json!(job.prompt)),
        ("output_format".to_owned(), json!("png")),
    ]);
    if job.model.starts_with("flux-kontext") {
        body.insert("aspect_ratio".to_owned(), json!(job.aspect_ratio()));
    } else {
        body.insert("width".to_owned(), json!(job.width));
        body.insert("height".to_owned(), json!(job.height));
    }
    if let Some(seed) = job.small_seed() {
        body.insert("seed".to_owned(), json!(seed));
    }
    Value::Object(body)
}

/// Moderation shows in the status of a poll, never in an error.
const fn moderated(_body: &Value) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::calls::providers::http::Auth;
    use crate::engine::calls::providers::testing::{
        PNG, Vendor, check_poll_faults, check_submit_faults, image_job, pending,
    };

    fn provider(vendor: &Vendor) -> Bfl {
        Bfl::new(vendor.http(Auth::XKey))
    }

    fn job() -> Job {
        Job { model: "flux-pro-1.1".into(), seed: Some(7), ..image_job() }
    }

    #[tokio::test]
    async fn a_job_is_polled_where_the_answer_says_and_its_result_copied_without_the_key() {
        let vendor = Vendor::start().await;
        let named = format!("{}/poll?id=j1", vendor.url);
        vendor.answer("POST /v1/flux-pro-1.1", 200, json!({"id": "j1", "polling_url": named}));
        vendor.answer("GET /poll", 200, json!({"status": "Pending", "progress": 0.5}));
        vendor.answer(
            "GET /poll",
            200,
            json!({"status": "Ready", "result": {"sample": format!("{}/file", vendor.url)}}),
        );
        vendor.file("GET /file", PNG);
        let provider = provider(&vendor);
        let id = pending(provider.submit(&job(), "req_1").await);
        assert_eq!(id.0, named);
        assert_eq!(provider.poll(&id).await, Ok(Poll::Running { progress: Some(0.5) }));
        let Ok(Poll::Done(outputs)) = provider.poll(&id).await else { panic!("it is done") };
        assert_eq!(&outputs[0].bytes[..], PNG);
        let requests = vendor.requests();
        assert_eq!(requests[0].header("x-key"), "test-key");
        assert_eq!((&requests[0].body["seed"], &requests[0].body["width"]), (&json!(7), &json!(1024)));
        assert_eq!(requests[3].header("x-key"), "");
        assert!(provider.cancel(&id).await.is_ok());
    }

    #[tokio::test]
    async fn an_answer_cannot_send_the_key_elsewhere() {
        let vendor = Vendor::start().await;
        vendor.answer(
            "POST /v1/flux-pro-1.1",
            200,
            json!({"id": "j1", "polling_url": "http://127.0.0.1:1/x"}),
        );
        vendor.answer("POST /v1/flux-pro-1.1", 200, json!({"id": "j&1"}));
        let provider = provider(&vendor);
        assert!(matches!(provider.submit(&job(), "req_1").await, Err(ProviderError::Failed(_))));
        let id = pending(provider.submit(&job(), "req_1").await);
        assert_eq!(id.0, format!("{}/v1/get_result?id=j%261", vendor.url));
    }

    #[tokio::test]
    async fn kontext_takes_a_shape() {
        let job = Job { model: "flux-kontext-pro".into(), width: 1280, height: 720, ..image_job() };
        assert_eq!(body(&job)["aspect_ratio"], json!("16:9"));
        assert!(body(&job).get("width").is_none());
    }

    #[tokio::test]
    async fn moderation_is_a_refusal_and_an_error_a_failure() {
        let vendor = Vendor::start().await;
        for status in ["Request Moderated", "Content Moderated", "Error", "Task not found"] {
            vendor.answer("GET /poll", 200, json!({"status": status}));
        }
        let (provider, id) = (provider(&vendor), JobId(format!("{}/poll", vendor.url)));
        for refused in [true, true, false, false] {
            let error = provider.poll(&id).await.unwrap_err();
            assert_eq!(matches!(error, ProviderError::Refused(_)), refused, "{error}");
        }
    }

    #[tokio::test]
    async fn faults_are_told_apart() {
        check_submit_faults("POST /v1/gpt-image-2.5", |vendor| Box::new(provider(vendor))).await;
        let sample = |url: &str| json!({"status": "Ready", "result": {"sample": url}});
        check_poll_faults("GET /poll", sample, |vendor, largest| {
            let mut provider = provider(vendor);
            provider.http.largest_output = largest;
            (Box::new(provider), JobId(format!("{}/poll", vendor.url)))
        })
        .await;
    }
}
