//! Cost of the paper's liquid-cell image: 100 slices of 1 Å, 200 × 200 pixels, 23,000 atoms, 5 frozen configurations, 21 defoci, an envelope for the
//! illumination; the same with the illumination as 9 tilts; and fast, for a particle of 15 Å.
//!
//! The exact work is counted in 2D complex transforms of a frame: for each slice and configuration 2 for each wave, 2 to band-limit the transmission
//! function and half a one for the potential, and 1 for each defocus of each wave. The same number of bare transforms is timed beside it.

use std::hint::black_box;
use std::ops::Range;

use nalgebra::Point3;
use pedesis::microscope::lens::{self, Coherence, Cone, Lens};
use pedesis::microscope::multislice::{Beam, Grid, Multislice};
use pedesis::microscope::{ScatteringFactors, paper};
use pedesis::random;
use pedesis::structure::{Atom, Element};
use pedesis::task::Task;
use rand::RngExt;
use rustfft::FftPlanner;
use rustfft::num_complex::Complex32;

const PIXELS: usize = 200;
const SLICES: usize = 100;
const CONFIGURATIONS: usize = 5;
const DEFOCI: usize = 21;
const BEAMS: usize = 9;
/// Heights that the particle takes up [Å].
const PARTICLE: Range<f64> = 42.5..57.5;

fn main() {
    let (one, nine, fast) = (image(Cone::Envelope, false), image(Cone::Tilts, false), image(Cone::Envelope, true));
    let count = |beams: usize| {
        let per_slice = (2 * beams) as f64 + 2.0 + 0.5;
        CONFIGURATIONS as f64 * (SLICES as f64 * per_slice + (beams * DEFOCI) as f64)
    };
    let bare = bare_fft();
    for (name, seconds, beams) in [("one beam", one, 1), ("nine tilts", nine, BEAMS)] {
        let ffts = count(beams);
        println!("{name}: {seconds:.3} CPU s an image; {ffts} bare transforms {:.3} CPU s", ffts * bare);
    }
    println!("fast: {fast:.3} CPU s an image, {:.2} times as fast", one / fast);
    println!(
        "BENCH {{\"cpu_s_per_image\": {one:.4}, \"ffts\": {}, \"ratio_to_bare_ffts\": {:.3}, \"cpu_s_nine_tilts\": {nine:.4}, \
         \"cpu_s_fast\": {fast:.4}}}",
        count(1),
        one / (count(1) * bare)
    );
}

/// CPU seconds of one image, with the liquid's slices merged or not.
fn image(cone: Cone, fast: bool) -> f64 {
    let atoms = liquid(23_000);
    let elements = ["H", "C"].map(|symbol| symbol.parse::<Element>().expect("an element"));
    let grid = Grid { nx: PIXELS, ny: PIXELS, lx: 50.0, ly: 50.0 };
    let multislice = Multislice::new(grid, SLICES as f64, 1.0, 200.0, &elements, ScatteringFactors::Kirkland);
    let multislice = if fast { multislice.merging(5.0) } else { multislice };
    let lens = Lens::new(&paper(), multislice.fft(), &Coherence { cone, ..Coherence::default() });
    let beams: Vec<Beam> = lens::beams(&paper(), grid, cone).into_iter().map(|tilt| multislice.beam(tilt)).collect();
    let (mut waves, mut lenses) = (multislice.workspace(), lens.workspace());
    let mut pixels = vec![0.0; grid.pixels()];
    seconds(|| {
        for _ in 0..CONFIGURATIONS {
            for wave in multislice
                .exit_waves_about(PARTICLE, &atoms, &beams, &mut waves, &Task::silent())
                .expect("nobody stops it")
            {
                lens.add_image(&wave, 1.0 / (beams.len() * CONFIGURATIONS) as f32, &mut lenses, &mut pixels);
            }
        }
        black_box(&mut pixels);
    })
}

/// Atoms at random, as many of hydrogen as of carbon.
fn liquid(count: usize) -> Vec<Atom> {
    let mut rng = random::stream(1, "bench", 0);
    let [hydrogen, carbon] = ["H", "C"].map(|symbol| symbol.parse::<Element>().expect("an element"));
    let mut atom = |i: usize| {
        let element = if i.is_multiple_of(2) { hydrogen } else { carbon };
        let [x, y, z] = std::array::from_fn(|_| rng.random::<f64>());
        Atom { element, position: Point3::new(50.0 * x, 50.0 * y, SLICES as f64 * z) }
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
