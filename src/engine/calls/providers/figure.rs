//! What the words of a prompt are drawn as.

use crate::engine::calls::providers::canvas::{Canvas, Point, Rgb, mix};

/// What a word is drawn as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
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
    (
        Shape::Person,
        &[
            "person",
            "man",
            "woman",
            "people",
            "child",
            "girl",
            "boy",
            "astronaut",
            "team",
            "portrait",
            "robot",
        ],
    ),
    (Shape::Animal, &["cat", "dog", "fox", "kitten", "puppy", "wolf", "bear", "tiger", "animal", "horse"]),
    (Shape::Star, &["star", "night", "space", "magic", "light", "snow", "gold", "spark"]),
];
const ABSTRACT: [Shape; 4] = [Shape::Ring, Shape::Kite, Shape::Dots, Shape::Cloud];

impl Shape {
    /// What a word in lower case names, else mark number `chance`.
    pub(super) fn of(word: &str, chance: u64) -> Self {
        let named = NAMED.iter().find(|(_, starts)| starts.iter().any(|start| word.starts_with(start)));
        named.map_or_else(|| ABSTRACT[(chance % ABSTRACT.len() as u64) as usize], |(shape, _)| *shape)
    }

    /// Whether it stands on the land; the others are in the sky.
    pub(super) const fn is_grounded(self) -> bool {
        matches!(
            self,
            Self::Tree | Self::House | Self::Tower | Self::Boat | Self::Flower | Self::Person | Self::Animal
        )
    }
}

/// Draws one figure: `at` is its foot or middle, lengths are shares of `size`.
pub(super) struct Pen {
    pub(super) at: Point,
    pub(super) size: f32,
    pub(super) color: Rgb,
    pub(super) ink: Rgb,
    /// From −1 to 1, over the loop.
    pub(super) sway: f32,
}

impl Pen {
    /// Draws `shape` here.
    pub(super) fn draw(&self, canvas: &mut Canvas, shape: Shape) {
        match shape {
            Shape::Tree => self.tree(canvas),
            Shape::House => self.house(canvas),
            Shape::Tower => self.tower(canvas),
            Shape::Boat => self.boat(canvas),
            Shape::Birds => self.birds(canvas),
            Shape::Balloon => self.balloon(canvas),
            Shape::Flower => self.flowers(canvas),
            Shape::Cloud => self.cloud(canvas),
            Shape::Person => self.person(canvas),
            Shape::Animal => self.animal(canvas),
            Shape::Star => self.star(canvas),
            Shape::Ring => self.ring(canvas),
            Shape::Kite => self.kite(canvas),
            Shape::Dots => self.dots(canvas),
        }
    }

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
                self.shape(
                    canvas,
                    &[(x - half, foot), (x + half, foot), tip],
                    mix(self.ink, self.color, 0.18 + shade),
                    1.0,
                );
            }
        }
    }

    fn house(&self, canvas: &mut Canvas) {
        let wall = mix(self.color, [255; 3], 0.35);
        self.shape(canvas, &[(-0.6, 0.3), (-0.6, -0.5), (0.6, -0.5), (0.6, 0.3)], wall, 1.0);
        self.shape(
            canvas,
            &[(-0.75, -0.45), (0.75, -0.45), (0.0, -1.15)],
            mix(self.ink, self.color, 0.3),
            1.0,
        );
        self.shape(canvas, &[(0.3, -0.75), (0.3, -1.15), (0.48, -1.15), (0.48, -0.6)], self.ink, 1.0);
        self.shape(canvas, &[(-0.12, 0.3), (-0.12, -0.15), (0.16, -0.15), (0.16, 0.3)], self.ink, 0.9);
        self.shape(
            canvas,
            &[(-0.46, -0.08), (-0.46, -0.3), (-0.24, -0.3), (-0.24, -0.08)],
            [255, 233, 168],
            1.0,
        );
    }

    fn tower(&self, canvas: &mut Canvas) {
        for (side, alpha) in [(-1.0, 0.22), (1.0, 0.3)] {
            let lift = 0.25 * self.sway * side;
            self.shape(
                canvas,
                &[(0.0, -2.4), (side * 4.2, -2.9 + lift), (side * 4.2, -2.1 + lift)],
                [255, 244, 200],
                alpha,
            );
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
        self.shape(
            canvas,
            &[(-0.08, -0.2), (-0.7, -0.22), (-0.03 + lean, -1.5)],
            mix(self.color, [255; 3], 0.2),
            0.97,
        );
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
        self.shape(
            canvas,
            &[(-0.62, 0.45), (0.62, 0.45), (0.2, 1.15), (-0.2, 1.15)],
            mix(self.color, self.ink, 0.12),
            1.0,
        );
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
        for (x, y, radius) in [(-0.9, 0.1, 0.4), (-0.35, -0.15, 0.6), (0.35, -0.05, 0.55), (0.95, 0.15, 0.35)]
        {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_drawn_as_what_they_name() {
        assert_eq!(Shape::of("boats", 0), Shape::Boat);
        assert_eq!(Shape::of("lighthouse", 0), Shape::Tower);
        assert!(ABSTRACT.contains(&Shape::of("quarterly", 7)));
    }
}
