//! OpenAI's images API: one synchronous call that answers with the pictures themselves.
//!
//! The vendor bills in tokens, so the catalogue reserves a fixed price that holds for quality `high`.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::engine::calls::providers::http::{Answer, Http};
use crate::engine::calls::providers::{
    Job, JobId, MediaKind, Output, Poll, Provider, ProviderError, Submitted,
};

pub(super) const BASE: &str = "https://api.openai.com";
/// Ten pictures of some ten megabytes each, as base64.
const LARGEST_ANSWER: usize = 128 * 1024 * 1024;

pub(super) struct OpenAi {
    http: Http,
}

impl OpenAi {
    pub(super) const fn new(mut http: Http) -> Self {
        http.largest_answer = LARGEST_ANSWER;
        Self { http }
    }

    fn outputs(&self, answer: &Value, count: u32) -> Result<Vec<Output>, ProviderError> {
        let pictures = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        let wanted = count as usize;
        if pictures.len() < wanted {
            return Err(ProviderError::Failed(format!("it made {} of {count} images", pictures.len())));
        }
        pictures.iter().take(wanted).map(|picture| self.output(picture)).collect()
    }

    fn output(&self, picture: &Value) -> Result<Output, ProviderError> {
        let wrong = || ProviderError::Failed("its answer holds no image".into());
        let text = picture["b64_json"].as_str().ok_or_else(wrong)?;
        let bytes = STANDARD.decode(text).map_err(|_| wrong())?;
        if bytes.len() > self.http.largest_output {
            return Err(ProviderError::Failed("its image is too large".into()));
        }
        Output::new(Bytes::from(bytes))
    }
}

#[async_trait]
impl Provider for OpenAi {
    async fn submit(&self, job: &Job, request_id: &str) -> Result<Submitted, ProviderError> {
        if job.kind != MediaKind::Image {
            return Err(ProviderError::Failed("it makes images only".into()));
        }
        let body = json!({
            "model": job.model,
            "prompt": job.prompt,
            "n": job.count,
            "size": format!("{}x{}", job.width, job.height),
            "quality": "high",
            "output_format": "png",
        });
        let answer = self.http.submit(self.http.url("v1/images/generations"), request_id, &body).await?;
        let answer = no_quota(answer)?.success(moderated)?;
        self.outputs(&answer, job.count).map(Submitted::Done)
    }

    async fn poll(&self, _id: &JobId) -> Result<Poll, ProviderError> {
        Err(ProviderError::Failed("its jobs end within the submit".into()))
    }

    async fn cancel(&self, _id: &JobId) -> Result<(), ProviderError> {
        Ok(())
    }
}

fn code(body: &Value) -> &str {
    body.pointer("/error/code").and_then(Value::as_str).unwrap_or_default()
}

fn moderated(body: &Value) -> bool {
    matches!(code(body), "moderation_blocked" | "content_policy_violation")
}

/// Used-up credits answer 429 like too many calls do, but waiting does not help.
fn no_quota(answer: Answer) -> Result<Answer, ProviderError> {
    if matches!(code(&answer.body), "insufficient_quota" | "billing_hard_limit_reached") {
        return Err(ProviderError::Unavailable("this installation's credits there are used up".into()));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::calls::providers::http::Auth;
    use crate::engine::calls::providers::testing::{PNG, Vendor, check_submit_faults, done, image_job};

    fn provider(vendor: &Vendor) -> OpenAi {
        OpenAi::new(vendor.http(Auth::Bearer))
    }

    fn pictures(count: usize) -> Value {
        json!({"data": vec![json!({"b64_json": STANDARD.encode(PNG)}); count], "usage": {"total_tokens": 9}})
    }

    #[tokio::test]
    async fn the_pictures_come_with_the_answer() {
        let vendor = Vendor::start().await;
        vendor.answer("POST /v1/images/generations", 200, pictures(2));
        let job = Job { count: 2, ..image_job() };
        let outputs = done(provider(&vendor).submit(&job, "req_1").await);
        assert_eq!((outputs.len(), &outputs[0].bytes[..]), (2, PNG));
        let request = &vendor.requests()[0];
        assert_eq!(request.header("authorization"), "Bearer test-key");
        assert_eq!(request.header("x-client-request-id"), "req_1");
        assert_eq!((&request.body["n"], &request.body["size"]), (&json!(2), &json!("1024x1024")));
    }

    #[tokio::test]
    async fn faults_of_the_submit_are_told_apart() {
        check_submit_faults("POST /v1/images/generations", |vendor| Box::new(provider(vendor))).await;
    }

    #[tokio::test]
    async fn moderation_and_quota_are_read_from_the_code() {
        let vendor = Vendor::start().await;
        let error = |code: &str| json!({"error": {"code": code, "message": "Your request was rejected."}});
        vendor.answer("POST /v1/images/generations", 400, error("moderation_blocked"));
        vendor.answer("POST /v1/images/generations", 429, error("insufficient_quota"));
        let provider = provider(&vendor);
        let refused = provider.submit(&image_job(), "req_1").await;
        assert_eq!(refused, Err(ProviderError::Refused("Your request was rejected.".into())));
        let unavailable = provider.submit(&image_job(), "req_2").await;
        assert!(matches!(unavailable, Err(ProviderError::Unavailable(_))));
    }

    #[tokio::test]
    async fn too_few_pictures_and_other_bytes_fail() {
        let vendor = Vendor::start().await;
        vendor.answer("POST /v1/images/generations", 200, pictures(1));
        vendor.answer(
            "POST /v1/images/generations",
            200,
            json!({"data": [{"b64_json": STANDARD.encode("<svg/>")}]}),
        );
        vendor.answer("POST /v1/images/generations", 200, json!({"data": [{"b64_json": "?"}]}));
        let provider = provider(&vendor);
        for count in [2, 1, 1] {
            let answer = provider.submit(&Job { count, ..image_job() }, "req_1").await;
            assert!(matches!(answer, Err(ProviderError::Failed(_))), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_too_large_answer_is_given_up() {
        let vendor = Vendor::start().await;
        vendor.answer("POST /v1/images/generations", 200, pictures(1));
        vendor.answer("POST /v1/images/generations", 200, pictures(1));
        let mut provider = provider(&vendor);
        provider.http.largest_answer = 50;
        assert!(matches!(provider.submit(&image_job(), "req_1").await, Err(ProviderError::Failed(_))));
        (provider.http.largest_answer, provider.http.largest_output) = (LARGEST_ANSWER, 10);
        assert!(matches!(provider.submit(&image_job(), "req_1").await, Err(ProviderError::Failed(_))));
    }
}
