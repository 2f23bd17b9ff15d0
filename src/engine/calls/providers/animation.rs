//! Moving sketches as animated PNG, which every browser plays in an `<img>`.
//!
//! Frames are drawn, reduced to a palette and written one after another, so memory holds two frames whatever
//! the length. Of each frame only what changed is written; the rest is the transparent colour, in long runs
//! that pack to almost nothing.

use png::{BitDepth, BlendOp, ColorType, DeflateCompression, DisposeOp, Encoder, EncodingError, Filter};

use crate::engine::calls::providers::canvas::{Canvas, Rgb};
use crate::engine::calls::providers::sketch::{DITHER, Sketch};

/// Frames each second.
const FRAME_RATE: u16 = 8;
/// Number 0 of the palette: "as in the frame before".
const UNCHANGED: u8 = 0;
/// Colours besides [`UNCHANGED`].
const MOST_COLORS: usize = 255;
/// Colours are counted in cells of five bits a channel.
const CELLS: usize = 1 << 15;
const CELL_WIDTH: f32 = 8.0;
/// Fast, and good at runs.
const LEVEL: u8 = 2;

/// The file of a loop of `seconds`.
///
/// # Errors
/// What the encoder reports; none is known for sizes within the catalogue's limits.
pub(super) fn encode(
    sketch: &Sketch,
    width: u32,
    height: u32,
    seconds: u32,
) -> Result<Vec<u8>, EncodingError> {
    let frames = seconds.max(1) * u32::from(FRAME_RATE);
    let mut canvas = Canvas::new(width, height);
    let mut colors = Colors::of(sketch, &mut canvas);
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(colors.palette());
    encoder.set_trns([0_u8].as_slice());
    encoder.set_deflate_compression(DeflateCompression::Level(LEVEL));
    encoder.set_filter(Filter::NoFilter);
    encoder.set_animated(frames, 0)?;
    encoder.set_frame_delay(1, FRAME_RATE)?;
    encoder.set_dispose_op(DisposeOp::None)?;
    encoder.set_blend_op(BlendOp::Over)?;
    let mut writer = encoder.write_header()?;
    let mut before = vec![UNCHANGED; canvas.pixels.len() / 3];
    for frame in 0..frames {
        sketch.draw(&mut canvas, frame as f32 / frames as f32);
        writer.write_image_data(&colors.changes(&canvas, &mut before))?;
    }
    writer.finish()?;
    Ok(file)
}

/// The palette of one film, and which of its colours is nearest to each cell.
struct Colors {
    chosen: Vec<Rgb>,
    /// 0 where not yet asked for.
    nearest: Vec<u8>,
}

impl Colors {
    /// The colours that cover the most pixels at four moments of the loop.
    fn of(sketch: &Sketch, canvas: &mut Canvas) -> Self {
        let mut counts = vec![0_u32; CELLS];
        let mut sums = vec![[0_u64; 3]; CELLS];
        for moment in [0.0, 0.25, 0.5, 0.75] {
            sketch.draw(canvas, moment);
            for pixel in canvas.pixels.chunks_exact(3) {
                let cell = cell(pixel);
                counts[cell] += 1;
                sums[cell].iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u64::from(*value));
            }
        }
        let mut cells: Vec<usize> = (0..CELLS).filter(|cell| counts[*cell] > 0).collect();
        cells.sort_unstable_by_key(|cell| (std::cmp::Reverse(counts[*cell]), *cell));
        let mean = |cell: &usize| sums[*cell].map(|sum| (sum / u64::from(counts[*cell])) as u8);
        Self { chosen: cells.iter().take(MOST_COLORS).map(mean).collect(), nearest: vec![0; CELLS] }
    }

    fn palette(&self) -> Vec<u8> {
        [[0; 3]].iter().chain(&self.chosen).flatten().copied().collect()
    }

    /// The frame's pixels as palette numbers, where they differ from `before`, which becomes this frame.
    fn changes(&mut self, canvas: &Canvas, before: &mut [u8]) -> Vec<u8> {
        let pixels = canvas.pixels.chunks_exact(3).zip(before).enumerate();
        pixels
            .map(|(at, (pixel, before))| {
                let number = self.number(dithered(pixel, at % canvas.width, at / canvas.width));
                let changed = number != *before;
                *before = number;
                if changed { number } else { UNCHANGED }
            })
            .collect()
    }

    fn number(&mut self, pixel: Rgb) -> u8 {
        let cell = cell(&pixel);
        if self.nearest[cell] == 0 {
            self.nearest[cell] = self.find(&pixel);
        }
        self.nearest[cell]
    }

    fn find(&self, pixel: &[u8]) -> u8 {
        let distance = |color: &Rgb| -> u32 {
            color.iter().zip(pixel).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum()
        };
        let best = self.chosen.iter().enumerate().min_by_key(|(_, color)| distance(color));
        best.map_or(1, |(at, _)| at as u8 + 1)
    }
}

/// Moved by less than a cell, by a pattern that stands still, so that gradients show no bands and do not
/// flicker.
fn dithered(pixel: &[u8], x: usize, y: usize) -> Rgb {
    let shift = (DITHER[y & 3][x & 3] / 16.0 - 0.5) * CELL_WIDTH;
    [0, 1, 2].map(|at| (f32::from(pixel[at]) + shift) as u8)
}

fn cell(pixel: &[u8]) -> usize {
    pixel.iter().fold(0, |cell, value| cell << 5 | usize::from(value >> 3))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn a_film_is_whole_loops_for_ever_and_lasts_as_long_as_asked() {
        let sketch = Sketch::new("a boat at sea", 3, 160, 90);
        let file = encode(&sketch, 160, 90, 2).unwrap();
        let mut reader = png::Decoder::new(Cursor::new(&file)).read_info().unwrap();
        let control = *reader.info().animation_control().unwrap();
        assert_eq!((control.num_frames, control.num_plays), (16, 0));
        let mut frame = vec![0; reader.output_buffer_size().unwrap()];
        for _ in 0..control.num_frames {
            reader.next_frame(&mut frame).unwrap();
            let timing = reader.info().frame_control().unwrap();
            assert_eq!((timing.delay_num, timing.delay_den), (1, FRAME_RATE));
        }
    }

    #[test]
    fn the_first_frame_leaves_no_hole() {
        let sketch = Sketch::new("a forest", 3, 64, 64);
        let mut canvas = Canvas::new(64, 64);
        let mut colors = Colors::of(&sketch, &mut canvas);
        sketch.draw(&mut canvas, 0.0);
        let mut before = vec![UNCHANGED; 64 * 64];
        assert!(!colors.changes(&canvas, &mut before).contains(&UNCHANGED));
        assert!(colors.changes(&canvas, &mut before).iter().all(|number| *number == UNCHANGED));
    }
}
