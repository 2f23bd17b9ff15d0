//! The drawing of the built-in provider: a landscape in layers, made of nothing but the prompt, the size and the
//! seed. Some words are drawn as what they name; every other one leaves a mark in the sky.

use super::canvas::{Canvas, Point, Rgb, mix, wave};
use super::palette::{Mood, Terrain};

/// More words than this would crowd the picture.
const MOST_WORDS: usize = 9;
const RIDGES: usize = 5;
const WIND_STROKES: usize = 46;
const STARS: usize = 140;
/// Ordered dithering (Bayer) in 1/16 steps: gradients without bands, and still while the picture moves.
const DITHER: [[f32; 4]; 4] =
    [[0.0, 8.0, 2.0, 10.0], [12.0, 4.0, 14.0, 6.0], [3.0, 11.0, 1.0, 9.0], [15.0, 7.0, 13.0, 5.0]];

/// What a word is drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Tree,
    House,
    Tower,
    Boat,
    Birds,
    Balloon,
    Flower,
    Cloud,
    Person,
    Animal,
    Star,
    Ring,
    Kite,
    Dots,
}

/// Which words are drawn as what they name, by how they begin.
const NAMED: &[(Shape, &[&str])] = &[
    (Shape::Tower, &["lighthouse", "tower", "castle", "church", "rocket", "temple"]),
    (Shape::Tree, &["tree", "forest", "wood", "jungle", "pine", "garden", "nature", "park", "oak"]),
    (Shape::House, &["house", "home", "cottage", "village", "farm", "cabin", "shop", "store", "office"]),
    (Shape::Boat, &["boat", "ship", "sail", "sea", "ocean", "harbo", "yacht", "lake"]),
    (Shape::Birds, &["bird", "gull", "eagle", "crow", "dove", "fly", "owl", "swan"]),
    (Shape::Balloon, &["balloon", "party", "birthday", "launch", "celebrat"]),
    (Shape::Flower, &["flower", "rose", "tulip", "blossom", "spring", "poppy", "meadow"]),
    (Shape::Cloud, &["cloud", "rain", "storm", "fog", "mist", "sky"]),
    (Shape::Person, &["person", "man", "woman", "people", "child", "girl", "boy", "astronaut", "team", "portrait", "robot"]),
    (Shape::Animal, &["cat", "dog", "fox", "kitten", "puppy", "wolf", "bear", "tiger", "animal", "horse"]),
    (Shape::Star, &["star", "night", "space", "magic", "light", "snow", "gold", "spark"]),
];
const ABSTRACT: [Shape; 4] = [Shape::Ring, Shape::Kite, Shape::Dots, Shape::Cloud];

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
        let stars = (0..if mood.dark { STARS } else { 0 }).map(|_| Twinkle::new(width, horizon, unit, &mut dice)).collect();
        let field = [dice.between(0.0, 1.0), dice.between(0.0, 1.0), dice.between(0.4, 1.2)];
        let figures = figures(&words, mood, (width, height), horizon, unit, &mut dice);
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
            if at + 2 == RIDGES {
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
            let base = if down < 0.55 { lerp(top, middle, down / 0.55) } else { lerp(middle, low, (down - 0.55) / 0.45) };
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

    /// Where the land begins in column `x`, in pixels from the top.
    fn top(&self, ridge: &Ridge, x: f32, phase: f32) -> f32 {
        let pan = wave(phase) * 0.025 * ridge.depth;
        let u = x / self.width * (self.width / self.height).max(1.0) + pan;
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
            let bob = wave(phase + figure.offset) * self.unit;
            let at = if grounded { figure.at } else { (figure.at.0 + bob * 0.6, figure.at.1 + bob) };
            let at = if figure.shape == Shape::Boat { (at.0 + bob * 2.0, at.1 + bob * 0.4) } else { at };
            figure.draw(canvas, at, self, phase);
        }
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
fn figures(words: &[String], mood: &Mood, size: Point, horizon: f32, unit: f32, dice: &mut Dice) -> Vec<Figure> {
    let mut place = dice.between(0.0, 1.0);
    let mut figures: Vec<Figure> = Vec::new();
    for word in words.iter().take(MOST_WORDS) {
        place = (place + 0.618_034).fract();
        let shape = Shape::of(word);
        let x = size.0 * (0.08 + 0.84 * place);
        let y = if shape.is_grounded() {
            horizon + (size.1 - horizon) * dice.between(0.3, 0.42)
        } else {
            horizon * dice.between(0.14, 0.66)
        };
        let scale = dice.between(0.8, 1.3) * if shape.is_grounded() { 1.25 } else { 1.0 };
        let color = dice.pick(&mood.accents);
        figures.push(Figure { shape, at: (x, y), size: unit * 6.0 * scale, color, offset: dice.between(0.0, 1.0) });
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
                0.55 * fold(0.8 * u + a) + 0.3 * fold(1.9 * u + b) + 0.13 * fold(4.7 * u + c) + 0.05 * fold(11.0 * u + d)
            }
            Terrain::Waves => {
                let travel = if self.depth > 0.5 { phase } else { -phase };
                0.1 * wave(0.7 * u + a) + 0.12 * wave(4.0 * u + b + travel) + 0.05 * wave(9.0 * u + c - travel)
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

impl Shape {
    fn of(word: &str) -> Self {
        let named = NAMED.iter().find(|(_, starts)| starts.iter().any(|start| word.starts_with(start)));
        named.map_or_else(|| Dice::new(word, 0).pick(&ABSTRACT), |(shape, _)| *shape)
    }

    const fn is_grounded(self) -> bool {
        matches!(
            self,
            Self::Tree | Self::House | Self::Tower | Self::Boat | Self::Flower | Self::Person | Self::Animal
        )
    }
}

impl Figure {
    fn draw(&self, canvas: &mut Canvas, at: Point, sketch: &Sketch, phase: f32) {
        let ink = sketch.mood.land[1];
        let pen = Pen { at, size: self.size, color: self.color, ink, sway: wave(phase + self.offset) };
        match self.shape {
            Shape::Tree => pen.tree(canvas),
            Shape::House => pen.house(canvas),
            Shape::Tower => pen.tower(canvas),
            Shape::Boat => pen.boat(canvas),
            Shape::Birds => pen.birds(canvas),
            Shape::Balloon => pen.balloon(canvas),
            Shape::Flower => pen.flowers(canvas),
            Shape::Cloud => pen.cloud(canvas),
            Shape::Person => pen.person(canvas),
            Shape::Animal => pen.animal(canvas),
            Shape::Star => pen.star(canvas),
            Shape::Ring => pen.ring(canvas),
            Shape::Kite => pen.kite(canvas),
            Shape::Dots => pen.dots(canvas),
        }
    }
}

/// Draws one figure: `at` is its foot or middle, lengths are shares of `size`.
struct Pen {
    at: Point,
    size: f32,
    color: Rgb,
    ink: Rgb,
    /// From −1 to 1, over the loop.
    sway: f32,
}

impl Pen {
    fn point(&self, x: f32, y: f32) -> Point {
        (self.at.0 + x * self.size, self.at.1 + y * self.size)
    }

    fn shape(&self, canvas: &mut Canvas, corners: &[Point], color: Rgb, alpha: f32) {
        let corners: Vec<_> = corners.iter().map(|(x, y)| self.point(*x, *y)).collect();
        canvas.polygon(&corners, color, alpha);
    }

    fn line(&self, canvas: &mut Canvas, from: Point, to: Point, thickness: f32, color: Rgb) {
        canvas.stroke(self.point(from.0, from.1), self.point(to.0, to.1), thickness * self.size, color, 0.95);
    }

    fn spot(&self, canvas: &mut Canvas, (x, y): Point, radius: f32, color: Rgb, alpha: f32) {
        canvas.disc(self.point(x, y), radius * self.size, color, alpha);
    }

    fn tree(&self, canvas: &mut Canvas) {
        for (x, scale) in [(-0.75, 0.75), (0.7, 0.85), (0.0, 1.15)] {
            let lean = 0.05 * self.sway * scale;
            self.line(canvas, (x, 0.4), (x, -0.4 * scale), 0.1, self.ink);
            for (level, shade) in [(0.0, 0.0), (0.45, 0.14), (0.9, 0.28)] {
                let (foot, half) = (-(0.15 + level) * scale, (0.5 - 0.25 * level) * scale);
                let tip = (x + lean * (1.0 + level), foot - 0.85 * scale);
                self.shape(canvas, &[(x - half, foot), (x + half, foot), tip], mix(self.ink, self.color, 0.18 + shade), 1.0);
            }
        }
    }

    fn house(&self, canvas: &mut Canvas) {
        let wall = mix(self.color, [255; 3], 0.35);
        self.shape(canvas, &[(-0.6, 0.3), (-0.6, -0.5), (0.6, -0.5), (0.6, 0.3)], wall, 1.0);
        self.shape(canvas, &[(-0.75, -0.45), (0.75, -0.45), (0.0, -1.15)], mix(self.ink, self.color, 0.3), 1.0);
        self.shape(canvas, &[(0.3, -0.75), (0.3, -1.15), (0.48, -1.15), (0.48, -0.6)], self.ink, 1.0);
        self.shape(canvas, &[(-0.12, 0.3), (-0.12, -0.15), (0.16, -0.15), (0.16, 0.3)], self.ink, 0.9);
        self.shape(canvas, &[(-0.46, -0.08), (-0.46, -0.3), (-0.24, -0.3), (-0.24, -0.08)], [255, 233, 168], 1.0);
    }

    fn tower(&self, canvas: &mut Canvas) {
        for (side, alpha) in [(-1.0, 0.22), (1.0, 0.3)] {
            let lift = 0.25 * self.sway * side;
            self.shape(canvas, &[(0.0, -2.4), (side * 4.2, -2.9 + lift), (side * 4.2, -2.1 + lift)], [255, 244, 200], alpha);
        }
        let wall = mix(self.color, [255; 3], 0.75);
        self.shape(canvas, &[(-0.42, 0.4), (0.42, 0.4), (0.26, -2.1), (-0.26, -2.1)], wall, 1.0);
        for (low, high) in [(-0.2, -0.65), (-1.1, -1.55)] {
            let half = |y: f32| 0.42 - 0.16 * (0.4 - y) / 2.5;
            let band = [(-half(low), low), (half(low), low), (half(high), high), (-half(high), high)];
            self.shape(canvas, &band, self.color, 1.0);
        }
        self.line(canvas, (-0.38, -2.12), (0.38, -2.12), 0.12, self.ink);
        self.shape(canvas, &[(-0.2, -2.15), (0.2, -2.15), (0.2, -2.6), (-0.2, -2.6)], [255, 236, 160], 1.0);
        self.shape(canvas, &[(-0.32, -2.58), (0.32, -2.58), (0.0, -3.0)], self.ink, 1.0);
    }

    fn boat(&self, canvas: &mut Canvas) {
        let lean = 0.12 * self.sway;
        self.line(canvas, (0.0, 0.0), (lean, -1.9), 0.06, self.ink);
        self.shape(canvas, &[(0.08, -0.2), (0.95, -0.25), (0.05 + lean, -1.85)], [255, 250, 238], 0.97);
        self.shape(canvas, &[(-0.08, -0.2), (-0.7, -0.22), (-0.03 + lean, -1.5)], mix(self.color, [255; 3], 0.2), 0.97);
        self.shape(canvas, &[(-1.0, -0.08), (1.1, -0.08), (0.7, 0.38), (-0.7, 0.38)], self.ink, 1.0);
        self.line(canvas, (-0.92, -0.04), (1.02, -0.04), 0.07, self.color);
    }

    fn birds(&self, canvas: &mut Canvas) {
        for (x, y, scale) in [(0.0, 0.0, 1.0), (1.1, -0.5, 0.7), (-1.0, -0.35, 0.6), (1.9, 0.1, 0.5)] {
            let flap = (0.28 + 0.18 * self.sway * if x > 0.5 { -1.0 } else { 1.0 }) * scale;
            for side in [-1.0, 1.0] {
                let elbow = (x + side * 0.3 * scale, y - flap);
                self.line(canvas, (x, y), elbow, 0.07 * scale, self.ink);
                self.line(canvas, elbow, (x + side * 0.75 * scale, y - flap * 0.55), 0.055 * scale, self.ink);
            }
        }
    }

    fn balloon(&self, canvas: &mut Canvas) {
        self.shape(canvas, &[(-0.62, 0.45), (0.62, 0.45), (0.2, 1.15), (-0.2, 1.15)], mix(self.color, self.ink, 0.12), 1.0);
        self.spot(canvas, (0.0, 0.0), 0.8, self.color, 1.0);
        self.spot(canvas, (-0.22, -0.2), 0.42, mix(self.color, [255; 3], 0.5), 0.45);
        for x in [-0.18, 0.18] {
            self.line(canvas, (x, 1.1), (x * 0.7, 1.55), 0.03, self.ink);
        }
        self.shape(canvas, &[(-0.2, 1.5), (0.2, 1.5), (0.15, 1.8), (-0.15, 1.8)], self.ink, 1.0);
    }

    fn flowers(&self, canvas: &mut Canvas) {
        for (x, tall) in [(-0.6, 0.8), (0.0, 1.2), (0.55, 0.95)] {
            let head = (x + 0.08 * self.sway, -tall);
            self.line(canvas, (x, 0.5), head, 0.06, self.ink);
            for (dx, dy) in [(0.0, -0.2), (0.19, -0.06), (0.12, 0.16), (-0.12, 0.16), (-0.19, -0.06)] {
                self.spot(canvas, (head.0 + dx, head.1 + dy), 0.15, self.color, 0.95);
            }
            self.spot(canvas, head, 0.1, [255, 224, 130], 1.0);
        }
    }

    fn cloud(&self, canvas: &mut Canvas) {
        for (x, y, radius) in [(-0.9, 0.1, 0.4), (-0.35, -0.15, 0.6), (0.35, -0.05, 0.55), (0.95, 0.15, 0.35)] {
            self.spot(canvas, (x, y), radius, [255, 255, 255], 0.5);
        }
    }

    fn person(&self, canvas: &mut Canvas) {
        self.line(canvas, (-0.12, 0.4), (-0.05, -0.2), 0.14, self.ink);
        self.line(canvas, (0.14, 0.4), (0.05, -0.2), 0.14, self.ink);
        self.line(canvas, (0.0, -0.25), (0.0, -0.75), 0.34, self.color);
        self.line(canvas, (0.12, -0.8), (0.45, -0.55 - 0.15 * self.sway), 0.1, self.color);
        self.line(canvas, (-0.12, -0.8), (-0.32, -0.35), 0.1, self.color);
        self.spot(canvas, (0.0, -1.15), 0.2, mix(self.ink, [255, 219, 172], 0.75), 1.0);
    }

    fn animal(&self, canvas: &mut Canvas) {
        let fur = mix(self.ink, self.color, 0.55);
        self.line(canvas, (-0.55, 0.1), (-1.0, -0.5 - 0.15 * self.sway), 0.12, fur);
        self.line(canvas, (-0.45, 0.05), (0.2, -0.05), 0.6, fur);
        for x in [-0.6, -0.3, 0.15, 0.38] {
            self.line(canvas, (x, 0.1), (x, 0.48), 0.12, fur);
        }
        for x in [0.28, 0.62] {
            self.shape(canvas, &[(x - 0.13, -0.6), (x + 0.13, -0.6), (x, -0.98)], fur, 1.0);
        }
        self.spot(canvas, (0.45, -0.45), 0.34, fur, 1.0);
        for x in [0.36, 0.6] {
            self.spot(canvas, (x, -0.5), 0.05, [255, 250, 220], 1.0);
        }
    }

    fn star(&self, canvas: &mut Canvas) {
        let long = 0.8 + 0.12 * self.sway;
        self.spot(canvas, (0.0, 0.0), 0.75, [255, 250, 224], 0.12);
        self.shape(canvas, &[(0.0, -long), (0.1, 0.0), (0.0, long), (-0.1, 0.0)], [255, 250, 224], 0.95);
        self.shape(canvas, &[(-long, 0.0), (0.0, 0.1), (long, 0.0), (0.0, -0.1)], [255, 250, 224], 0.95);
    }

    fn ring(&self, canvas: &mut Canvas) {
        self.spot(canvas, (0.0, 0.0), 0.7, self.color, 0.16);
        canvas.ring(self.at, self.size * 0.7, self.size * 0.07, self.color, 0.75);
        canvas.ring(self.at, self.size * (0.46 + 0.05 * self.sway), self.size * 0.035, self.color, 0.6);
    }

    fn kite(&self, canvas: &mut Canvas) {
        let lean = 0.12 * self.sway;
        self.shape(canvas, &[(lean, -0.9), (0.5, -0.1), (0.0, 0.9), (-0.5, -0.1)], self.color, 0.8);
        self.shape(canvas, &[(lean, -0.9), (0.5, -0.1), (0.0, 0.9)], mix(self.color, self.ink, 0.4), 0.5);
        self.line(canvas, (0.0, 0.9), (-0.35 - lean, 1.5), 0.03, self.ink);
        self.line(canvas, (-0.35 - lean, 1.5), (-0.1, 2.0), 0.03, self.ink);
    }

    fn dots(&self, canvas: &mut Canvas) {
        for (at, (x, y)) in [(-0.6, 0.2), (-0.1, -0.4), (0.5, 0.0), (0.2, 0.55)].into_iter().enumerate() {
            let radius = 0.3 - 0.05 * at as f32 + 0.03 * self.sway;
            self.spot(canvas, (x, y), radius, self.color, 0.42);
        }
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
        for prompt in ["", "🦀 ünï", "night city tree house lighthouse boat bird balloon flower", "a\0b"] {
            for (width, height) in [(64, 64), (64, 854), (2048, 64), (1, 1)] {
                let mut canvas = Canvas::new(width, height);
                Sketch::new(prompt, u64::MAX, width, height).draw(&mut canvas, 0.5);
            }
        }
    }

    #[test]
    fn words_are_drawn_as_what_they_name() {
        assert_eq!(Shape::of("boats"), Shape::Boat);
        assert_eq!(Shape::of("lighthouse"), Shape::Tower);
        assert!(ABSTRACT.contains(&Shape::of("quarterly")));
        assert_eq!(words("The CAT, and a dog!"), ["cat", "dog"]);
    }
}
