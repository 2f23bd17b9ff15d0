//! The kind `null`: no drawing and no waiting, so that benchmarks measure the gateway and nothing else.

use async_trait::async_trait;
use bytes::Bytes;

use crate::engine::calls::providers::{
    Job, JobId, MediaType, Output, Poll, Provider, ProviderError, Submitted,
};

/// One grey pixel.
const PIXEL: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x00, 0x00, 0x00, 0x00, 0x3a, 0x7e, 0x9b, 0x55, 0x00,
    0x00, 0x00, 0x0a, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0x68, 0x00, 0x00, 0x00, 0x82, 0x00, 0x81,
    0xda, 0x45, 0x08, 0x3b, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

/// Answers each job at once with the same valid PNG of one pixel. For benchmarks only.
#[derive(Debug, Clone, Copy, Default)]
pub struct Null;

impl Null {
    pub(super) fn outputs(count: u32) -> Vec<Output> {
        let pixel = Output { bytes: Bytes::from_static(PIXEL), media_type: MediaType::Png };
        vec![pixel; count as usize]
    }
}

#[async_trait]
impl Provider for Null {
    async fn submit(&self, job: &Job, _request_id: &str) -> Result<Submitted, ProviderError> {
        Ok(Submitted::Done(Self::outputs(job.count)))
    }

    async fn poll(&self, _id: &JobId) -> Result<Poll, ProviderError> {
        Ok(Poll::Done(Self::outputs(1)))
    }

    async fn cancel(&self, _id: &JobId) -> Result<(), ProviderError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pixel_is_a_whole_png() {
        let mut reader = png::Decoder::new(std::io::Cursor::new(PIXEL)).read_info().unwrap();
        let mut pixel = [0; 1];
        reader.next_frame(&mut pixel).unwrap();
        reader.finish().unwrap();
        assert_eq!(pixel, [0x80]);
    }
}
