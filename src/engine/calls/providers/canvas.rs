//! A small painter: smooth-edged shapes on RGB pixels. Only exact arithmetic (no platform's `sin`), so that
//! the same drawing has the same bytes everywhere.

/// Red, green, blue.
pub(super) type Rgb = [u8; 3];

/// A point in pixels from the top left.
pub(super) type Point = (f32, f32);

/// A picture in rows from the top, three bytes a pixel.
pub(super) struct Canvas {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<u8>,
}

impl Canvas {
    pub(super) fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self { width, height, pixels: vec![0; width * height * 3] }
    }

    /// The pixels of row `y`.
    pub(super) fn row(&mut self, y: usize) -> &mut [u8] {
        let stride = self.width * 3;
        &mut self.pixels[y * stride..(y + 1) * stride]
    }

    /// Lays `color` over the pixels between two corners, as thick as `coverage` says for a pixel's centre: 0
    /// leaves it, 1 hides it.
    fn shade(&mut self, from: Point, to: Point, color: Rgb, coverage: impl Fn(f32, f32) -> f32) {
        let clip = |value: f32, most: usize| value.clamp(0.0, most as f32) as usize;
        let (left, right) = (clip(from.0 - 1.0, self.width), clip(to.0 + 2.0, self.width));
        for y in clip(from.1 - 1.0, self.height)..clip(to.1 + 2.0, self.height) {
            let row = self.row(y);
            for x in left..right {
                let alpha = coverage(x as f32 + 0.5, y as f32 + 0.5);
                if alpha > 0.0 {
                    blend(&mut row[x * 3..x * 3 + 3], color, alpha.min(1.0));
                }
            }
        }
    }

    /// A filled circle.
    pub(super) fn disc(&mut self, (cx, cy): Point, radius: f32, color: Rgb, alpha: f32) {
        self.shade((cx - radius, cy - radius), (cx + radius, cy + radius), color, |x, y| {
            edge(distance(x - cx, y - cy) - radius) * alpha
        });
    }

    /// A circle's line of `thickness` pixels.
    pub(super) fn ring(&mut self, (cx, cy): Point, radius: f32, thickness: f32, color: Rgb, alpha: f32) {
        let reach = radius + thickness;
        self.shade((cx - reach, cy - reach), (cx + reach, cy + reach), color, |x, y| {
            edge((distance(x - cx, y - cy) - radius).abs() - thickness / 2.0) * alpha
        });
    }

    /// A straight stroke with round ends.
    pub(super) fn stroke(&mut self, a: Point, b: Point, thickness: f32, color: Rgb, alpha: f32) {
        let (half, along) = (thickness / 2.0, (b.0 - a.0, b.1 - a.1));
        let length = (along.0 * along.0 + along.1 * along.1).max(1e-6);
        let from = (a.0.min(b.0) - half, a.1.min(b.1) - half);
        let to = (a.0.max(b.0) + half, a.1.max(b.1) + half);
        self.shade(from, to, color, |x, y| {
            let (dx, dy) = (x - a.0, y - a.1);
            let nearest = ((dx * along.0 + dy * along.1) / length).clamp(0.0, 1.0);
            edge(distance(dx - along.0 * nearest, dy - along.1 * nearest) - half) * alpha
        });
    }

    /// A filled convex polygon, its corners in either direction around.
    pub(super) fn polygon(&mut self, corners: &[Point], color: Rgb, alpha: f32) {
        let sides: Vec<_> = corners.iter().zip(corners.iter().cycle().skip(1)).collect();
        let area: f32 = sides.iter().map(|(a, b)| a.0 * b.1 - b.0 * a.1).sum();
        let lines: Vec<_> = sides.iter().map(|(a, b)| line(**a, **b, area)).collect();
        let (from, to) = bounds(corners);
        self.shade(from, to, color, |x, y| {
            let outside = lines.iter().map(|(nx, ny, d)| nx * x + ny * y - d).fold(f32::MIN, f32::max);
            edge(outside) * alpha
        });
    }

    /// Fills each column from `tops[x]` down; the colour goes from `upper` at the highest top to `lower` at
    /// the foot.
    pub(super) fn fill_below(&mut self, tops: &[f32], upper: Rgb, lower: Rgb) {
        let highest = tops.iter().copied().fold(f32::MAX, f32::min).clamp(0.0, self.height as f32);
        let depth = (self.height as f32 - highest).max(1.0);
        for y in highest as usize..self.height {
            let color = mix(upper, lower, (y as f32 - highest) / depth);
            for (pixel, top) in self.row(y).chunks_exact_mut(3).zip(tops) {
                let covered = y as f32 + 1.0 - top;
                if covered >= 1.0 {
                    pixel.copy_from_slice(&color);
                } else if covered > 0.0 {
                    blend(pixel, color, covered);
                }
            }
        }
    }
}

/// The outward normal of the side from `a` to `b` and its offset, for a polygon whose signed area is `area`.
fn line(a: Point, b: Point, area: f32) -> (f32, f32, f32) {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let scale = distance(dx, dy).max(1e-6) * if area < 0.0 { -1.0 } else { 1.0 };
    let (nx, ny) = (dy / scale, -dx / scale);
    (nx, ny, nx * a.0 + ny * a.1)
}

fn bounds(corners: &[Point]) -> (Point, Point) {
    corners.iter().fold(((f32::MAX, f32::MAX), (f32::MIN, f32::MIN)), |(from, to), corner| {
        ((from.0.min(corner.0), from.1.min(corner.1)), (to.0.max(corner.0), to.1.max(corner.1)))
    })
}

/// How much of a pixel is covered whose centre is `outside` pixels beyond the edge.
fn edge(outside: f32) -> f32 {
    (0.5 - outside).clamp(0.0, 1.0)
}

fn distance(dx: f32, dy: f32) -> f32 {
    (dx * dx + dy * dy).sqrt()
}

fn blend(pixel: &mut [u8], color: Rgb, alpha: f32) {
    let weight = (alpha * 256.0) as i32;
    for (value, new) in pixel.iter_mut().zip(color) {
        let old = i32::from(*value);
        *value = (old + (((i32::from(new) - old) * weight) >> 8)) as u8;
    }
}

/// `share` of `b` in `a`, from 0 to 1.
pub(super) fn mix(a: Rgb, b: Rgb, share: f32) -> Rgb {
    let mut mixed = a;
    blend(&mut mixed, b, share.clamp(0.0, 1.0));
    mixed
}

/// A smooth wave from −1 to 1 with one period per turn, made of parabolas.
pub(super) fn wave(turns: f32) -> f32 {
    let t = turns - turns.floor();
    if t < 0.5 { 16.0 * t * (0.5 - t) } else { -16.0 * (t - 0.5) * (1.0 - t) }
}
