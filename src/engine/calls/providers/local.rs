//! The kind `local`: sketches drawn inside this process, so that everything works without a vendor.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Filter};
use tokio::sync::Semaphore;

use crate::engine::calls::providers::canvas::Canvas;
use crate::engine::calls::providers::sketch::Sketch;
use crate::engine::calls::providers::{
    Job, JobId, MediaKind, Output, Poll, Provider, ProviderError, Submitted, animation,
};

/// Draws pictures as PNG and videos as animated PNG, deterministically: the same prompt, size and seed make
/// the same bytes. Each further picture of a job has the next seed.
#[derive(Clone)]
pub struct Local {
    /// As many drawings at once as there are processors: more would only take memory.
    turns: Arc<Semaphore>,
}

impl Local {
    /// A provider of sketches.
    pub fn new() -> Self {
        let turns = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { turns: Arc::new(Semaphore::new(turns)) }
    }
}

impl Default for Local {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Provider for Local {
    async fn submit(&self, job: &Job, _request_id: &str) -> Result<Submitted, ProviderError> {
        let failed = || ProviderError::Failed("the sketch could not be drawn".into());
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| failed())?;
        let job = job.clone();
        let drawing = tokio::task::spawn_blocking(move || {
            let outputs = draw(&job);
            drop(turn);
            outputs
        });
        drawing.await.map_err(|_| failed())?.map(Submitted::Done)
    }

    async fn poll(&self, _id: &JobId) -> Result<Poll, ProviderError> {
        Err(ProviderError::Failed("its jobs end within the submit".into()))
    }

    async fn cancel(&self, _id: &JobId) -> Result<(), ProviderError> {
        Ok(())
    }
}

fn draw(job: &Job) -> Result<Vec<Output>, ProviderError> {
    (0..u64::from(job.count)).map(|number| draw_one(job, number)).collect()
}

fn draw_one(job: &Job, number: u64) -> Result<Output, ProviderError> {
    let seed = job.seed.unwrap_or_default().wrapping_add(number);
    let sketch = Sketch::new(&job.prompt, seed, job.width, job.height);
    let file = match (job.kind, job.duration_s) {
        (MediaKind::Video, seconds) => {
            animation::encode(&sketch, job.width, job.height, seconds.unwrap_or(1))
        }
        (MediaKind::Image, _) => still(&sketch, job.width, job.height),
    };
    let file = file.map_err(|_| ProviderError::Failed("the sketch could not be written".into()))?;
    Output::new(Bytes::from(file))
}

fn still(sketch: &Sketch, width: u32, height: u32) -> Result<Vec<u8>, EncodingError> {
    let mut canvas = Canvas::new(width, height);
    sketch.draw(&mut canvas, 0.0);
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    encoder.set_filter(Filter::Paeth);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&canvas.pixels)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::calls::providers::testing::{done, image_job, video_job};
    use crate::engine::calls::providers::{MediaType, thumbnail};

    #[tokio::test]
    async fn pictures_are_whole_pngs_of_the_size_asked_and_repeat() {
        let job = Job { count: 2, width: 320, height: 200, seed: Some(9), ..image_job() };
        let outputs = done(Local::new().submit(&job, "req_1").await);
        assert_eq!(outputs.len(), 2);
        assert_ne!(outputs[0], outputs[1]);
        assert_eq!(outputs, done(Local::new().submit(&job, "req_2").await));
        let reader = png::Decoder::new(std::io::Cursor::new(&outputs[0].bytes)).read_info().unwrap();
        assert_eq!((outputs[0].media_type, reader.info().size()), (MediaType::Png, (320, 200)));
    }

    #[tokio::test]
    async fn a_video_is_an_animated_png_with_a_thumbnail() {
        let output = done(Local::new().submit(&video_job(), "req_1").await).remove(0);
        assert_eq!(output.media_type, MediaType::Apng);
        assert!(output.bytes.len() < 2_000_000, "{} bytes", output.bytes.len());
        let small = thumbnail(&output.bytes, output.media_type, 96).unwrap();
        assert_eq!(MediaType::sniff(&small), Some(MediaType::Png));
    }
}
