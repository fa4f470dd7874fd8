//! Cost of the paper's liquid-cell image: 100 slices of 1 Å, 200 × 200 pixels, 23,000 atoms, 5 frozen configurations.
//!
//! The exact work is counted in 2D complex transforms of a frame: 2 for the wave, 2 to band-limit the transmission function and half a one for
//! the potential, for each slice and configuration. The same number of bare transforms is timed beside it.

use std::hint::black_box;

use pedesis::microscope::ScatteringFactors;
use pedesis::microscope::multislice::{Grid, Multislice};
use pedesis::random;
use pedesis::structure::{Atom, Element};
use rand::RngExt;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex32;

const PIXELS: usize = 200;
const SLICES: usize = 100;
const CONFIGURATIONS: usize = 5;

fn main() {
    let atoms = liquid(23_000);
    let elements = ["H", "C"].map(|symbol| symbol.parse::<Element>().expect("an element"));
    let grid = Grid { nx: PIXELS, ny: PIXELS, lx: 50.0, ly: 50.0 };
    let multislice = Multislice::new(grid, SLICES as f64, 1.0, 200.0, &elements, ScatteringFactors::Kirkland);
    let mut workspace = multislice.workspace();
    let image = seconds(|| {
        for _ in 0..CONFIGURATIONS {
            black_box(multislice.exit_waves(&atoms, &[[0, 0]], &mut workspace));
        }
    });
    let ffts = (2.0 + 2.0 + 0.5) * (SLICES * CONFIGURATIONS) as f64;
    let bare = ffts * bare_fft();
    println!("exit waves of an image {image:.3} CPU s, {ffts} bare transforms {bare:.3} CPU s");
    println!(
        "BENCH {{\"cpu_s_per_image\": {image:.4}, \"ffts\": {ffts}, \"ratio_to_bare_ffts\": {:.3}}}",
        image / bare
    );
}

/// Atoms at random, as many of hydrogen as of carbon.
fn liquid(count: usize) -> Vec<Atom> {
    let mut rng = random::stream(1, "bench", 0);
    let [hydrogen, carbon] = ["H", "C"].map(|symbol| symbol.parse::<Element>().expect("an element"));
    let mut atom = |i: usize| {
        let element = if i.is_multiple_of(2) { hydrogen } else { carbon };
        let [x, y, z] = std::array::from_fn(|_| rng.random::<f64>());
        Atom { element, position: nalgebra::Point3::new(50.0 * x, 50.0 * y, SLICES as f64 * z) }
    };
    (0..count).map(&mut atom).collect()
}

/// CPU seconds of one 2D complex transform: rows, turned, rows.
fn bare_fft() -> f64 {
    const REPEATS: usize = 500;
    let plan = FftPlanner::new().plan_fft_forward(PIXELS);
    let mut frame = vec![Complex32::new(1.0, 0.5); PIXELS * PIXELS];
    let mut turned = frame.clone();
    let mut scratch = vec![Complex32::ZERO; plan.get_inplace_scratch_len()];
    let all = seconds(|| {
        for _ in 0..REPEATS {
            plan.process_with_scratch(&mut frame, &mut scratch);
            transpose::transpose(&frame, &mut turned, PIXELS, PIXELS);
            plan.process_with_scratch(&mut turned, &mut scratch);
            transpose::transpose(&turned, &mut frame, PIXELS, PIXELS);
            frame.iter_mut().for_each(|value| *value *= 1.0 / PIXELS as f32);
            black_box(&mut frame);
        }
    });
    all / REPEATS as f64
}

/// Fewest CPU seconds of a few runs.
fn seconds(mut work: impl FnMut()) -> f64 {
    let mut time = || {
        let start = cpu_time::ThreadTime::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..5).map(|_| time()).fold(f64::MAX, f64::min)
}
