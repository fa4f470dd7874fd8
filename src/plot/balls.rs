//! A small renderer of spheres: Lambert's shading with a highlight (Blinn 1977, SIGGRAPH 11, 192), far ones paler, a depth buffer, nine samples a pixel.

use nalgebra::Vector3;
use plotters::style::RGBColor;

/// A sphere as the viewer sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ball {
    /// To the right, up and towards the viewer \[Å\].
    pub center: Vector3<f64>,
    /// \[Å\].
    pub radius: f64,
    pub color: RGBColor,
}

/// Samples along each edge of a pixel.
const SAMPLES: usize = 3;
/// Towards the lamp: from the upper left, in front.
const LAMP: Vector3<f64> = Vector3::new(-0.42, 0.54, 0.73);
/// Light that comes from everywhere.
const AMBIENT: f64 = 0.5;
/// Where light falls straight a colour is this much brighter than in a legend.
const GAIN: f64 = 1.15;
/// Strength and sharpness of the highlight.
const HIGHLIGHT: (f64, i32) = (0.8, 36);
/// Share of white in the farthest ball.
const HAZE: f64 = 0.55;
/// The rim of a ball is darkened where its normal points to the viewer by less than this: neighbours stand apart.
const RIM: f64 = 0.35;

/// Pixels (red, green, blue, from the top) of a white square of `side` pixels whose middle is the origin; `scale` in pixels per Å.
pub(super) fn render(balls: &[Ball], side: u32, scale: f64) -> Vec<u8> {
    let width = side as usize * SAMPLES;
    let fine = scale * SAMPLES as f64;
    let mut depths = vec![f64::NEG_INFINITY; width * width];
    let mut colors = vec![[1.0f32; 3]; width * width];
    let (near, far) = balls.iter().fold((f64::NEG_INFINITY, f64::INFINITY), |(near, far), ball| {
        (near.max(ball.center.z), far.min(ball.center.z))
    });
    let middle = width as f64 / 2.0;
    for ball in balls {
        let haze = if near > far { HAZE * (near - ball.center.z) / (near - far) } else { 0.0 };
        let (x, y, radius) = (middle + fine * ball.center.x, middle - fine * ball.center.y, fine * ball.radius);
        let within = |center: f64| {
            let end = |value: f64| value.clamp(0.0, width as f64) as usize;
            end((center - radius).floor())..end((center + radius).ceil() + 1.0)
        };
        for row in within(y) {
            for column in within(x) {
                let (u, v) = ((column as f64 + 0.5 - x) / radius, (y - row as f64 - 0.5) / radius);
                let square = 1.0 - u * u - v * v;
                if square <= 0.0 {
                    continue;
                }
                let normal = Vector3::new(u, v, square.sqrt());
                let depth = ball.center.z + ball.radius * normal.z;
                let place = row * width + column;
                if depth > depths[place] {
                    depths[place] = depth;
                    colors[place] = shade(ball.color, &normal, haze);
                }
            }
        }
    }
    averaged(&colors, side as usize)
}

fn shade(RGBColor(red, green, blue): RGBColor, normal: &Vector3<f64>, haze: f64) -> [f32; 3] {
    let lamp = LAMP.normalize();
    let halfway = (lamp + Vector3::z()).normalize();
    let rim = 0.45 + 0.55 * (normal.z / RIM).min(1.0);
    let diffuse = (AMBIENT + (1.0 - AMBIENT) * normal.dot(&lamp).max(0.0)) * rim;
    let highlight = HIGHLIGHT.0 * normal.dot(&halfway).max(0.0).powi(HIGHLIGHT.1);
    [red, green, blue].map(|channel| {
        let lit = (GAIN * f64::from(channel) / 255.0 * diffuse).min(1.0);
        let shiny = lit + (1.0 - lit) * highlight;
        (shiny + (1.0 - shiny) * haze) as f32
    })
}

/// Means over the samples of each pixel.
fn averaged(samples: &[[f32; 3]], side: usize) -> Vec<u8> {
    let width = side * SAMPLES;
    let mut pixels = Vec::with_capacity(3 * side * side);
    for y in 0..side {
        for x in 0..side {
            let mut sum = [0.0f32; 3];
            for (dy, dx) in (0..SAMPLES).flat_map(|dy| (0..SAMPLES).map(move |dx| (dy, dx))) {
                let sample = samples[(y * SAMPLES + dy) * width + x * SAMPLES + dx];
                sum.iter_mut().zip(sample).for_each(|(sum, value)| *sum += value);
            }
            pixels.extend(sum.map(|sum| (255.0 * sum / (SAMPLES * SAMPLES) as f32).round() as u8));
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ball(x: f64, z: f64, color: RGBColor) -> Ball {
        Ball { center: Vector3::new(x, 0.0, z), radius: 1.0, color }
    }

    #[test]
    fn near_balls_hide_far_ones_in_whatever_order_and_are_lit_from_the_upper_left() {
        let (red, blue) = (RGBColor(200, 0, 0), RGBColor(0, 0, 200));
        for balls in [[ball(0.0, 2.0, red), ball(0.5, -2.0, blue)], [ball(0.5, -2.0, blue), ball(0.0, 2.0, red)]] {
            let pixels = render(&balls, 40, 10.0);
            let at = |x: usize, y: usize| &pixels[(y * 40 + x) * 3..][..3];
            assert!(at(20, 20)[0] > 2 * at(20, 20)[2], "the red ball is in front: {:?}", at(20, 20));
            assert!(at(33, 20)[2] > at(33, 20)[0], "the blue one shows beside it: {:?}", at(33, 20));
            assert_eq!(at(2, 2), [255; 3]);
            assert!(at(16, 16)[0] > at(23, 26)[0] + 40, "{:?} {:?}", at(16, 16), at(23, 26));
        }
    }

    #[test]
    fn discs_have_their_size_with_smooth_edges() {
        let pixels = render(&[ball(0.0, 0.0, RGBColor(0, 0, 0))], 64, 20.0);
        let ink: f64 = pixels.chunks(3).map(|pixel| if pixel[0] < 250 { 1.0 } else { 0.0 }).sum();
        assert!((ink / (std::f64::consts::PI * 400.0) - 1.0).abs() < 0.06, "{ink}");
    }
}
