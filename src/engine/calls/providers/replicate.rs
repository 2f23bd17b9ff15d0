//! Replicate's predictions on official models, which bill by output.

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Map, Value, json};
use url::Url;

use crate::engine::calls::providers::http::{Http, message};
use crate::engine::calls::providers::{
    Job, JobId, MediaKind, Output, Poll, Provider, ProviderError, Submitted,
};

pub(super) const BASE: &str = "https://api.replicate.com";
/// Words in the error of a prediction that tell moderation; there is no code for it.
const MODERATION_WORDS: [&str; 4] = ["nsfw", "flagged", "sensitive", "content policy"];

pub(super) struct Replicate {
    http: Http,
}

impl Replicate {
    pub(super) const fn new(http: Http) -> Self {
        Self { http }
    }

    fn url(&self, id: &JobId) -> Url {
        self.http.url(&format!("v1/predictions/{}", id.0))
    }

    async fn outputs(&self, output: &Value) -> Result<Vec<Output>, ProviderError> {
        let mut outputs = Vec::new();
        for url in output_urls(output) {
            outputs.push(self.http.download(url).await?);
        }
        if outputs.is_empty() {
            return Err(ProviderError::Failed("its answer names no result".into()));
        }
        Ok(outputs)
    }
}

#[async_trait]
impl Provider for Replicate {
    async fn submit(&self, job: &Job, request_id: &str) -> Result<Submitted, ProviderError> {
        if job.count != 1 {
            return Err(ProviderError::Failed("it makes one result a call".into()));
        }
        let url = self.http.url(&format!("v1/models/{}/predictions", job.model));
        let answer =
            self.http.submit(url, request_id, &json!({"input": input(job)})).await?.success(moderated)?;
        match answer["id"].as_str() {
            Some(id) if is_id(id) => Ok(Submitted::Pending(JobId(id.to_owned()))),
            _ => Err(ProviderError::Failed("its answer names no job".into())),
        }
    }

    async fn poll(&self, id: &JobId) -> Result<Poll, ProviderError> {
        let answer = self.http.get(self.url(id)).await?.success(moderated)?;
        match answer["status"].as_str().unwrap_or_default() {
            "succeeded" => self.outputs(&answer["output"]).await.map(Poll::Done),
            "failed" if moderated(&answer) => Err(ProviderError::Refused(message(&answer))),
            "failed" => Err(ProviderError::Failed(message(&answer))),
            "canceled" | "aborted" => Err(ProviderError::Failed("the job was cancelled there".into())),
            _ => Ok(Poll::Running { progress: None }),
        }
    }

    async fn cancel(&self, id: &JobId) -> Result<(), ProviderError> {
        let mut url = self.url(id);
        if let Ok(mut parts) = url.path_segments_mut() {
            parts.push("cancel");
        }
        self.http.cancel(Method::POST, url).await
    }
}

fn input(job: &Job) -> Value {
    let mut input = Map::from_iter([("prompt".to_owned(), json!(job.prompt))]);
    match job.kind {
        MediaKind::Image => {
            // Sizes count only where the ratio is "custom".
            input.insert("aspect_ratio".to_owned(), json!("custom"));
            input.insert("width".to_owned(), json!(job.width));
            input.insert("height".to_owned(), json!(job.height));
            input.insert("output_format".to_owned(), json!("png"));
        }
        MediaKind::Video => {
            input.insert("aspect_ratio".to_owned(), json!(job.aspect_ratio()));
            input.insert("resolution".to_owned(), json!(format!("{}p", job.width.min(job.height))));
            input.insert("duration".to_owned(), json!(job.duration_s));
        }
    }
    if let Some(seed) = job.small_seed() {
        input.insert("seed".to_owned(), json!(seed));
    }
    Value::Object(input)
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// One URL, or a list of them.
fn output_urls(output: &Value) -> Vec<&str> {
    match output {
        Value::String(url) => vec![url],
        Value::Array(urls) => urls.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn moderated(body: &Value) -> bool {
    let text = message(body).to_lowercase();
    MODERATION_WORDS.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::calls::providers::http::Auth;
    use crate::engine::calls::providers::testing::{
        PNG, Vendor, check_poll_faults, check_submit_faults, image_job, pending,
    };

    fn provider(vendor: &Vendor) -> Replicate {
        Replicate::new(vendor.http(Auth::Bearer))
    }

    #[tokio::test]
    async fn a_prediction_is_made_polled_and_cancelled() {
        let vendor = Vendor::start().await;
        vendor.answer("POST /v1/models/o/m/predictions", 201, json!({"id": "p1", "status": "starting"}));
        vendor.answer("GET /v1/predictions/p1", 200, json!({"status": "processing"}));
        let file = format!("{}/file", vendor.url);
        vendor.answer("GET /v1/predictions/p1", 200, json!({"status": "succeeded", "output": [file]}));
        vendor.file("GET /file", PNG);
        vendor.answer("POST /v1/predictions/p1/cancel", 200, json!({}));
        let provider = provider(&vendor);
        let id = pending(provider.submit(&Job { model: "o/m".into(), ..image_job() }, "req_1").await);
        assert_eq!(provider.poll(&id).await, Ok(Poll::Running { progress: None }));
        assert!(matches!(provider.poll(&id).await, Ok(Poll::Done(outputs)) if outputs[0].bytes == PNG));
        assert!(provider.cancel(&id).await.is_ok());
        let requests = vendor.requests();
        assert_eq!(requests[0].body["input"]["width"], json!(1024));
        assert_eq!(
            requests.last().map(|request| request.line.as_str()),
            Some("POST /v1/predictions/p1/cancel")
        );
    }

    #[tokio::test]
    async fn moderation_failure_and_cancellation_are_told_apart() {
        let vendor = Vendor::start().await;
        let nsfw = "NSFW content detected. Try a different prompt.";
        for body in [
            json!({"status": "failed", "error": nsfw}),
            json!({"status": "failed", "error": "CUDA out of memory"}),
            json!({"status": "canceled"}),
        ] {
            vendor.answer("GET /v1/predictions/p1", 200, body);
        }
        let (provider, id) = (provider(&vendor), JobId("p1".into()));
        assert_eq!(provider.poll(&id).await, Err(ProviderError::Refused(nsfw.into())));
        assert_eq!(provider.poll(&id).await, Err(ProviderError::Failed("CUDA out of memory".into())));
        assert!(matches!(provider.poll(&id).await, Err(ProviderError::Failed(_))));
    }

    #[tokio::test]
    async fn faults_are_told_apart() {
        check_submit_faults("POST /v1/models/gpt-image-2.5/predictions", |vendor| Box::new(provider(vendor)))
            .await;
        let result = |url: &str| json!({"status": "succeeded", "output": url});
        check_poll_faults("GET /v1/predictions/p1", result, |vendor, largest| {
            let mut provider = provider(vendor);
            provider.http.largest_output = largest;
            (Box::new(provider), JobId("p1".into()))
        })
        .await;
    }
}
