//! fal's queue: submit, ask for the status, fetch the result.
//!
//! A job's id is its `response_url`; `/status` and `/cancel` below it are the rest of the API.

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Map, Value, json};
use url::Url;

use crate::engine::calls::providers::http::Http;
use crate::engine::calls::providers::{
    Job, JobId, MediaKind, Output, Poll, Provider, ProviderError, Submitted,
};

pub(super) const BASE: &str = "https://queue.fal.run";

pub(super) struct Fal {
    http: Http,
}

impl Fal {
    pub(super) const fn new(http: Http) -> Self {
        Self { http }
    }

    /// The job's URL. Where the answer names none it is made of the model's owner and app, without the
    /// endpoint.
    fn job_url(&self, job: &Job, answer: &Value) -> Result<Url, ProviderError> {
        if let Some(named) = answer["response_url"].as_str() {
            return self.http.own_url(named);
        }
        let missing = || ProviderError::Failed("its answer names no job".into());
        let request = answer["request_id"].as_str().ok_or_else(missing)?;
        let app: Vec<_> = job.model.splitn(3, '/').take(2).collect();
        Ok(self.http.url(&format!("{}/requests/{request}", app.join("/"))))
    }

    fn part(&self, id: &JobId, part: &str) -> Result<Url, ProviderError> {
        let mut url = self.http.own_url(&id.0)?;
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.push(part);
        }
        Ok(url)
    }

    async fn outputs(&self, id: &JobId) -> Result<Vec<Output>, ProviderError> {
        let result = self.http.get(self.http.own_url(&id.0)?).await?.success(moderated)?;
        let mut outputs = Vec::new();
        for url in result_urls(&result) {
            outputs.push(self.http.download(url).await?);
        }
        if outputs.is_empty() {
            return Err(ProviderError::Failed("its answer names no result".into()));
        }
        Ok(outputs)
    }
}

#[async_trait]
impl Provider for Fal {
    async fn submit(&self, job: &Job, request_id: &str) -> Result<Submitted, ProviderError> {
        let url = self.http.url(&job.model);
        let answer = self.http.submit(url, request_id, &body(job)).await?.success(moderated)?;
        Ok(Submitted::Pending(JobId(self.job_url(job, &answer)?.into())))
    }

    async fn poll(&self, id: &JobId) -> Result<Poll, ProviderError> {
        let answer = self.http.get(self.part(id, "status")?).await?.success(moderated)?;
        match answer["status"].as_str() {
            Some("COMPLETED") => self.outputs(id).await.map(Poll::Done),
            _ => Ok(Poll::Running { progress: None }),
        }
    }

    async fn cancel(&self, id: &JobId) -> Result<(), ProviderError> {
        self.http.cancel(Method::PUT, self.part(id, "cancel")?).await
    }
}

fn body(job: &Job) -> Value {
    let mut body = Map::from_iter([("prompt".to_owned(), json!(job.prompt))]);
    match job.kind {
        MediaKind::Image => {
            body.insert("image_size".to_owned(), json!({"width": job.width, "height": job.height}));
            body.insert("num_images".to_owned(), json!(job.count));
        }
        MediaKind::Video => {
            body.insert("aspect_ratio".to_owned(), json!(job.aspect_ratio()));
            body.insert("resolution".to_owned(), json!(format!("{}p", job.width.min(job.height))));
            body.insert("duration".to_owned(), json!(job.duration_s));
        }
    }
    if let Some(seed) = job.small_seed() {
        body.insert("seed".to_owned(), json!(seed));
    }
    Value::Object(body)
}

fn result_urls(result: &Value) -> Vec<&str> {
    let images = result["images"].as_array().map(Vec::as_slice).unwrap_or_default();
    let single = [&result["video"], &result["image"]];
    images.iter().chain(single).filter_map(|file| file["url"].as_str()).collect()
}

fn moderated(body: &Value) -> bool {
    body.pointer("/detail/0/type").and_then(Value::as_str) == Some("content_policy_violation")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::calls::providers::http::Auth;
    use crate::engine::calls::providers::testing::{
        MP4, Vendor, check_poll_faults, check_submit_faults, image_job, pending, video_job,
    };

    fn provider(vendor: &Vendor) -> Fal {
        Fal::new(vendor.http(Auth::Key))
    }

    fn job() -> Job {
        Job {
            model: "blackforestlabs/flux-3-max/text-to-video".into(),
            width: 1280,
            height: 720,
            ..video_job()
        }
    }

    #[tokio::test]
    async fn a_video_goes_through_the_queue() {
        let vendor = Vendor::start().await;
        let path = "/blackforestlabs/flux-3-max/requests/r1";
        vendor.answer("POST /blackforestlabs/flux-3-max/text-to-video", 200, json!({"request_id": "r1"}));
        for status in ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"] {
            vendor.answer(&format!("GET {path}/status"), 200, json!({"status": status}));
        }
        vendor.answer(&format!("GET {path}"), 200, json!({"video": {"url": format!("{}/file", vendor.url)}}));
        vendor.file("GET /file", MP4);
        vendor.answer(&format!("PUT {path}/cancel"), 400, json!({"status": "ALREADY_COMPLETED"}));
        let provider = provider(&vendor);
        let id = pending(provider.submit(&job(), "req_1").await);
        assert_eq!(id.0, format!("{}{path}", vendor.url));
        assert_eq!(provider.poll(&id).await, Ok(Poll::Running { progress: None }));
        assert_eq!(provider.poll(&id).await, Ok(Poll::Running { progress: None }));
        let Ok(Poll::Done(outputs)) = provider.poll(&id).await else { panic!("it is done") };
        assert_eq!(outputs[0].media_type.as_str(), "video/mp4");
        assert!(provider.cancel(&id).await.is_ok());
        let request = &vendor.requests()[0];
        assert_eq!(request.header("authorization"), "Key test-key");
        let body =
            json!({"prompt": "a lighthouse", "aspect_ratio": "16:9", "resolution": "720p", "duration": 5});
        assert_eq!(request.body, body);
    }

    #[tokio::test]
    async fn the_job_is_where_the_answer_says_if_that_is_the_vendor() {
        let vendor = Vendor::start().await;
        let own = format!("{}/a/b/requests/r2", vendor.url);
        for named in [own.as_str(), "https://evil.example/x"] {
            vendor.answer("POST /gpt-image-2.5", 200, json!({"request_id": "r2", "response_url": named}));
        }
        let provider = provider(&vendor);
        assert_eq!(pending(provider.submit(&image_job(), "req_1").await).0, own);
        assert!(matches!(provider.submit(&image_job(), "req_1").await, Err(ProviderError::Failed(_))));
    }

    #[tokio::test]
    async fn moderation_is_a_refusal() {
        let vendor = Vendor::start().await;
        vendor.answer("GET /r/status", 200, json!({"status": "COMPLETED"}));
        let detail = json!({"detail": [{"type": "content_policy_violation", "msg": "flagged", "input": "secret prompt"}]});
        vendor.answer("GET /r", 422, detail);
        let refused = provider(&vendor).poll(&JobId(format!("{}/r", vendor.url))).await;
        assert_eq!(refused, Err(ProviderError::Refused("flagged".into())));
    }

    #[tokio::test]
    async fn faults_are_told_apart() {
        check_submit_faults("POST /gpt-image-2.5", |vendor| Box::new(provider(vendor))).await;
        // The same answer serves the status and the result.
        let result = |url: &str| json!({"status": "COMPLETED", "images": [{"url": url}]});
        check_poll_faults("GET /r/status", result, |vendor, largest| {
            let mut provider = provider(vendor);
            provider.http.largest_output = largest;
            vendor.repeat("GET /r/status", "GET /r");
            (Box::new(provider), JobId(format!("{}/r", vendor.url)))
        })
        .await;
    }
}
