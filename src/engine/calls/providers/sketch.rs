//! The drawing of the built-in provider: a landscape in layers, made of nothing but the prompt, the size and
//! the seed. Some words are drawn as what they name; every other one leaves a mark in the sky.

use crate::engine::calls::providers::canvas::{Canvas, Point, Rgb, mix, wave};
use crate::engine::calls::providers::figure::{Pen, Shape};
use crate::engine::calls::providers::palette::{Mood, Terrain};

/// More words than this would crowd the picture.
const MOST_WORDS: usize = 9;
const RIDGES: usize = 5;
/// The ridge on which figures stand; one is in front of them.
const FOOTING: usize = RIDGES - 2;
const WIND_STROKES: usize = 46;
const STARS: usize = 140;
/// Ordered dithering (Bayer) in 1/16 steps: gradients without bands, and still while the picture moves.
pub(super) const DITHER: [[f32; 4]; 4] =
    [[0.0, 8.0, 2.0, 10.0], [12.0, 4.0, 14.0, 6.0], [3.0, 11.0, 1.0, 9.0], [15.0, 7.0, 13.0, 5.0]];

/// A repeatable sequence of numbers (SplitMix64).
struct Dice(u64);

impl Dice {
    /// Starts from a text (FNV-1a) and a number.
    fn new(text: &str, seed: u64) -> Self {
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn between(&mut self, from: f32, to: f32) -> f32 {
        from + (self.next() >> 40) as f32 / (1_u32 << 24) as f32 * (to - from)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[(self.next() % from.len() as u64) as usize]
    }
}

/// One line of land, from the horizon (0) to the foot (1).
struct Ridge {
    depth: f32,
    offsets: [f32; 4],
    seed: u64,
}

/// One mark for one word.
struct Figure {
    shape: Shape,
    /// Its place in the sky; figures on the ground take the column only.
    at: Point,
    size: f32,
    color: Rgb,
    offset: f32,
}

struct Wind {
    start: Point,
    length: f32,
    offset: f32,
}

struct Twinkle {
    at: Point,
    size: f32,
    offset: f32,
}

/// A composed picture that can be drawn at any moment of its loop.
pub(super) struct Sketch {
    mood: &'static Mood,
    width: f32,
    height: f32,
    /// A length that grows with the picture, in pixels: a hundredth of its shorter side.
    unit: f32,
    horizon: f32,
    sun: Point,
    sun_radius: f32,
    ridges: Vec<Ridge>,
    wind: Vec<Wind>,
    stars: Vec<Twinkle>,
    figures: Vec<Figure>,
    field: [f32; 3],
}

impl Sketch {
    /// Composes a picture of `width` × `height` pixels.
    pub(super) fn new(prompt: &str, seed: u64, width: u32, height: u32) -> Self {
        let words = words(prompt);
        let mut dice = Dice::new(prompt, seed);
        let mood = Mood::of(&words, dice.next());
        let (width, height) = (width as f32, height as f32);
        let unit = width.min(height) / 100.0;
        let horizon = height * dice.between(0.5, 0.6);
        let sun = (width * dice.between(0.2, 0.8), horizon - height * dice.between(0.08, 0.3));
        let ridges = (0..RIDGES).map(|at| Ridge::new(at, &mut dice)).collect();
        let wind = (0..WIND_STROKES).map(|_| Wind::new(width, horizon, unit, &mut dice)).collect();
        let stars = (0..if mood.dark { STARS } else { 0 })
            .map(|_| Twinkle::new(width, horizon, unit, &mut dice))
            .collect();
        let field = [dice.between(0.0, 1.0), dice.between(0.0, 1.0), dice.between(0.4, 1.2)];
        let figures = figures(&words, mood, width, horizon, unit, &mut dice);
        let sun_radius = unit * dice.between(5.0, 9.0);
        Self { mood, width, height, unit, horizon, sun, sun_radius, ridges, wind, stars, figures, field }
    }

    /// Draws the moment `phase` of the loop, from 0 to 1.
    pub(super) fn draw(&self, canvas: &mut Canvas, phase: f32) {
        self.draw_sky(canvas);
        self.draw_stars(canvas, phase);
        self.draw_sun(canvas);
        self.draw_wind(canvas, phase);
        self.draw_figures(canvas, phase, false);
        for (at, ridge) in self.ridges.iter().enumerate() {
            self.draw_ridge(canvas, ridge, phase);
            if at == FOOTING {
                self.draw_figures(canvas, phase, true);
            }
        }
        self.draw_grass(canvas, phase);
    }

    /// The gradient with the sun's glow, down to where the land hides it.
    fn draw_sky(&self, canvas: &mut Canvas) {
        let [top, middle, low] = self.mood.sky;
        let glow_radius = self.sun_radius * 5.0;
        let rows = canvas.height.min((self.horizon + self.height * 0.2) as usize + 1);
        for y in 0..rows {
            let down = y as f32 / self.horizon;
            let base = if down < 0.55 {
                lerp(top, middle, down / 0.55)
            } else {
                lerp(middle, low, (down - 0.55) / 0.45)
            };
            let dy = (y as f32 - self.sun.1) / glow_radius;
            for (x, pixel) in canvas.row(y).chunks_exact_mut(3).enumerate() {
                let dx = (x as f32 - self.sun.0) / glow_radius;
                let glow = 0.6 / (1.0 + 3.0 * (dx * dx + dy * dy));
                let dither = DITHER[y & 3][x & 3] / 16.0;
                for ((value, base), sun) in pixel.iter_mut().zip(base).zip(self.mood.sun) {
                    *value = (base + (f32::from(sun) - base) * glow + dither) as u8;
                }
            }
        }
    }

    fn draw_stars(&self, canvas: &mut Canvas, phase: f32) {
        for star in &self.stars {
            let light = 0.55 + 0.35 * wave(phase + star.offset);
            canvas.disc(star.at, star.size, [255, 252, 240], light);
        }
    }

    fn draw_sun(&self, canvas: &mut Canvas) {
        let bright = mix(self.mood.sun, [255; 3], 0.35);
        canvas.disc(self.sun, self.sun_radius, bright, 0.95);
        for (at, alpha) in [(1.35, 0.35), (1.75, 0.2), (2.3, 0.1)] {
            canvas.ring(self.sun, self.sun_radius * at, self.unit * 0.35, bright, alpha);
        }
    }

    /// Strokes that follow a field of directions; in a video each travels along its path once a loop.
    fn draw_wind(&self, canvas: &mut Canvas, phase: f32) {
        let color = mix(self.mood.sky[2], [255; 3], 0.5);
        for wind in &self.wind {
            let age = (phase + wind.offset).fract();
            // Strokes fade in and out, so that none jumps when it starts again.
            let alpha = 0.42 * (1.0 - (2.0 * age - 1.0) * (2.0 * age - 1.0));
            let mut at = (wind.start.0 + (age - 0.5) * self.unit * 14.0, wind.start.1);
            let steps = 14;
            for step in 0..steps {
                let (dx, dy) = self.direction(at);
                let next = (at.0 + dx * wind.length / steps as f32, at.1 + dy * wind.length / steps as f32);
                let taper = wave(step as f32 / (2 * steps) as f32);
                canvas.stroke(at, next, self.unit * (0.1 + 0.22 * taper), color, alpha * (0.4 + 0.6 * taper));
                at = next;
            }
        }
    }

    fn direction(&self, (x, y): Point) -> Point {
        let [a, b, scale] = self.field;
        let bend = 0.38 * (wave(x / self.width * scale + a) + wave(y / self.height * 2.0 * scale + b));
        (1.0, bend)
    }

    fn draw_ridge(&self, canvas: &mut Canvas, ridge: &Ridge, phase: f32) {
        let tops: Vec<f32> = (0..canvas.width).map(|x| self.top(ridge, x as f32, phase)).collect();
        let [far, near] = self.mood.land;
        let color = mix(mix(far, near, ridge.depth), self.mood.sky[2], 0.3 * (1.0 - ridge.depth));
        canvas.fill_below(&tops, color, mix(color, near, 0.5));
        self.draw_ink(canvas, &tops, near, ridge);
        if self.mood.terrain == Terrain::Skyline && ridge.depth > 0.2 {
            self.draw_windows(canvas, ridge, &tops);
        }
    }

    /// The pen's line along the top of a ridge, thicker and thinner like one drawn by hand.
    fn draw_ink(&self, canvas: &mut Canvas, tops: &[f32], ink: Rgb, ridge: &Ridge) {
        let step = (self.unit * 1.5).max(2.0) as usize;
        for (at, pair) in tops.windows(step + 1).enumerate().step_by(step) {
            let press = 0.5 + 0.5 * wave(at as f32 / self.width * 3.0 + ridge.offsets[0]);
            let (from, to) = ((at as f32, pair[0]), ((at + step) as f32, pair[step]));
            if (from.1 - to.1).abs() < self.unit * 4.0 {
                canvas.stroke(from, to, self.unit * (0.12 + 0.25 * press), ink, 0.25 + 0.25 * ridge.depth);
            }
        }
    }

    fn draw_windows(&self, canvas: &mut Canvas, ridge: &Ridge, tops: &[f32]) {
        let (gap, light) = (self.unit * 2.4, self.mood.accents[0]);
        let (mut dice, size) = (Dice(ridge.seed), self.unit * 0.45);
        for column in 1..(self.width / gap) as usize {
            let x = column as f32 * gap;
            let near = |x: f32| tops.get(x.max(0.0) as usize).copied().unwrap_or(self.height);
            let top = near(x - gap * 0.4).max(near(x + gap * 0.4));
            for floor in 1..9 {
                let y = top + floor as f32 * gap;
                if dice.next() % 100 < 38 && y < self.height {
                    canvas.polygon(&rectangle((x, y), size, size * 1.4), light, 0.35 + 0.5 * ridge.depth);
                }
            }
        }
    }

    /// How far a ridge is moved to the left, in shares of the shorter side: the nearer, the farther.
    fn pan(&self, ridge: &Ridge, phase: f32) -> f32 {
        wave(phase) * 0.025 * ridge.depth
    }

    /// Where the land begins in column `x`, in pixels from the top.
    fn top(&self, ridge: &Ridge, x: f32, phase: f32) -> f32 {
        let u = x / self.width * (self.width / self.height).max(1.0) + self.pan(ridge, phase);
        let base = self.horizon + (self.height * 0.98 - self.horizon) * ridge.depth * ridge.depth * 0.85;
        base - ridge.rise(self.mood.terrain, u, phase) * self.height * (0.2 - 0.1 * ridge.depth)
    }

    fn draw_grass(&self, canvas: &mut Canvas, phase: f32) {
        if matches!(self.mood.terrain, Terrain::Skyline | Terrain::Waves) {
            return;
        }
        let (mut dice, ink) = (Dice(self.ridges.len() as u64), self.mood.land[1]);
        let color = mix(ink, self.mood.accents[2], 0.25);
        for blade in 0..90 {
            let x = self.width * (blade as f32 + dice.between(0.0, 1.0)) / 90.0;
            let tall = self.unit * dice.between(3.0, 8.0);
            let lean = self.unit * (dice.between(-1.5, 1.5) + 0.8 * wave(phase + x / self.width));
            let foot = self.height + self.unit;
            canvas.stroke((x, foot), (x + lean, foot - tall), self.unit * 0.35, color, 0.9);
        }
    }

    fn draw_figures(&self, canvas: &mut Canvas, phase: f32, grounded: bool) {
        for figure in self.figures.iter().filter(|figure| figure.shape.is_grounded() == grounded) {
            let at = if grounded { self.footing(figure, phase) } else { self.drift(figure, phase) };
            let sway = wave(phase + figure.offset);
            let pen = Pen { at, size: figure.size, color: figure.color, ink: self.mood.land[1], sway };
            pen.draw(canvas, figure.shape);
        }
    }

    /// Where a figure stands: on the last ridge but one, moving with it.
    fn footing(&self, figure: &Figure, phase: f32) -> Point {
        let Some(ridge) = self.ridges.get(FOOTING) else { return figure.at };
        let sail =
            if figure.shape == Shape::Boat { wave(phase + figure.offset) * self.unit * 2.5 } else { 0.0 };
        let x = figure.at.0 + sail - self.pan(ridge, phase) * self.width.min(self.height);
        let half = figure.size * 0.4;
        // The lower of two points under it, so that nothing hangs in the air on a slope.
        let y = self.top(ridge, x - half, phase).max(self.top(ridge, x + half, phase));
        (x, y - figure.size * 0.1)
    }

    fn drift(&self, figure: &Figure, phase: f32) -> Point {
        let bob = wave(phase + figure.offset) * self.unit;
        (figure.at.0 + bob * 0.6, figure.at.1 + bob)
    }
}

/// The words of three letters and more, in lower case, without the commonest.
fn words(prompt: &str) -> Vec<String> {
    const COMMON: [&str; 10] = ["the", "and", "with", "for", "from", "into", "over", "under", "that", "this"];
    let lower = prompt.to_lowercase();
    let split = lower.split(|c: char| !c.is_alphanumeric());
    split.filter(|word| word.chars().count() > 2 && !COMMON.contains(word)).map(str::to_owned).collect()
}

/// One figure for each word, spread over the width without clustering (multiples of the golden ratio).
fn figures(
    words: &[String],
    mood: &Mood,
    width: f32,
    horizon: f32,
    unit: f32,
    dice: &mut Dice,
) -> Vec<Figure> {
    let mut place = dice.between(0.0, 1.0);
    let mut figures: Vec<Figure> = Vec::new();
    for word in words.iter().take(MOST_WORDS) {
        place = (place + 0.618_034).fract();
        let shape = Shape::of(word, Dice::new(word, 0).next());
        let x = width * (0.08 + 0.84 * place);
        let y = horizon * dice.between(0.14, 0.66);
        let scale = dice.between(0.8, 1.3) * if shape.is_grounded() { 1.25 } else { 1.0 };
        let color = dice.pick(&mood.accents);
        figures.push(Figure {
            shape,
            at: (x, y),
            size: unit * 6.0 * scale,
            color,
            offset: dice.between(0.0, 1.0),
        });
    }
    figures
}

impl Ridge {
    fn new(at: usize, dice: &mut Dice) -> Self {
        let offsets = [0; 4].map(|_: i32| dice.between(0.0, 1.0));
        Self { depth: at as f32 / (RIDGES - 1) as f32, offsets, seed: dice.next() }
    }

    /// Its height at `u` (1 is the picture's shorter side), about −1 to 1.
    fn rise(&self, terrain: Terrain, u: f32, phase: f32) -> f32 {
        let [a, b, c, d] = self.offsets;
        match terrain {
            Terrain::Hills => 0.6 * wave(0.9 * u + a) + 0.3 * wave(2.1 * u + b) + 0.08 * wave(5.3 * u + c),
            Terrain::Peaks => {
                let fold = |turns: f32| 1.0 - 2.0 * wave(turns).abs();
                0.55 * fold(0.8 * u + a)
                    + 0.3 * fold(1.9 * u + b)
                    + 0.13 * fold(4.7 * u + c)
                    + 0.05 * fold(11.0 * u + d)
            }
            Terrain::Waves => {
                let travel = if self.depth > 0.5 { phase } else { -phase };
                0.1 * wave(0.7 * u + a)
                    + 0.12 * wave(4.0 * u + b + travel)
                    + 0.05 * wave(9.0 * u + c - travel)
            }
            Terrain::Skyline => {
                let block = (u * (9.0 - 4.0 * self.depth) + a).floor();
                Dice(self.seed ^ block as i64 as u64).between(-0.6, 1.2)
            }
        }
    }
}

impl Wind {
    fn new(width: f32, horizon: f32, unit: f32, dice: &mut Dice) -> Self {
        let start = (dice.between(-0.1, 1.0) * width, dice.between(0.02, 0.9) * horizon);
        Self { start, length: unit * dice.between(10.0, 34.0), offset: dice.between(0.0, 1.0) }
    }
}

impl Twinkle {
    fn new(width: f32, horizon: f32, unit: f32, dice: &mut Dice) -> Self {
        let at = (dice.between(0.0, 1.0) * width, dice.between(0.0, 0.85) * horizon);
        Self { at, size: (unit * dice.between(0.06, 0.22)).max(0.5), offset: dice.between(0.0, 1.0) }
    }
}

fn rectangle((x, y): Point, half_width: f32, half_height: f32) -> [Point; 4] {
    let (left, right, top, low) = (x - half_width, x + half_width, y - half_height, y + half_height);
    [(left, top), (right, top), (right, low), (left, low)]
}

fn lerp(a: Rgb, b: Rgb, share: f32) -> [f32; 3] {
    let share = share.clamp(0.0, 1.0);
    [0, 1, 2].map(|at| f32::from(a[at]) + (f32::from(b[at]) - f32::from(a[at])) * share)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(prompt: &str, seed: u64, phase: f32) -> Vec<u8> {
        let mut canvas = Canvas::new(160, 90);
        Sketch::new(prompt, seed, 160, 90).draw(&mut canvas, phase);
        canvas.pixels
    }

    #[test]
    fn the_same_words_and_seed_make_the_same_picture_and_others_another() {
        assert_eq!(drawn("a red boat", 1, 0.0), drawn("a red boat", 1, 0.0));
        assert_ne!(drawn("a red boat", 1, 0.0), drawn("a red boat", 2, 0.0));
        assert_ne!(drawn("a red boat", 1, 0.0), drawn("a blue boat", 1, 0.0));
    }

    #[test]
    fn it_moves_and_comes_back_to_its_start() {
        assert_ne!(drawn("a red boat", 1, 0.0), drawn("a red boat", 1, 0.3));
        let (start, end) = (drawn("a red boat", 1, 0.0), drawn("a red boat", 1, 0.999));
        let moved = start.iter().zip(&end).filter(|(a, b)| a.abs_diff(**b) > 40).count();
        assert!(moved < start.len() / 100, "{moved} bytes jump");
    }

    #[test]
    fn no_prompt_or_size_makes_it_panic() {
        for prompt in ["", "🦀 ünï", "night city tree house lighthouse boat bird balloon flower", "a\0b"]
        {
            for (width, height) in [(64, 64), (64, 854), (2048, 64), (1, 1)] {
                let mut canvas = Canvas::new(width, height);
                Sketch::new(prompt, u64::MAX, width, height).draw(&mut canvas, 0.5);
            }
        }
    }

    #[test]
    fn common_words_are_left_out() {
        assert_eq!(words("The CAT, and a dog!"), ["cat", "dog"]);
    }
}
