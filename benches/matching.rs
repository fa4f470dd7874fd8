//! Cost of comparing images with directions, all in-plane angles, at 1.0 Å: a particle of 25 Å in a box of 50 Å.
//!
//! A direction is one of the full sphere, of which the kernel treats two (a direction and its mirror image) at once. Two figures: the kernel alone
//! (products, transforms, maxima), beside bare `gemm` on the same shapes and bare real FFTs of the same length, two a pair; and
//! one whole search of 5,000 images × 10,000 directions with everything it needs.

use std::hint::black_box;

use ndarray::{Array2, Array3};
use pedesis::fourier::Complex32;
use pedesis::images::{Images, Particles, PrepareOptions};
use pedesis::orient::{
    COLUMNS, Correlator, Expansion, PixelBasis, Rings, SearchOptions, TILE, best_matches, directions, search,
};
use pedesis::product::multiply;
use pedesis::random;
use pedesis::structure::bundled;
use pedesis::task::Task;
use pedesis::volume::{Spectrum, Volume, density_of_atoms, grid_size};
use rand::RngExt;
use rand_distr::StandardNormal;
use realfft::RealFftPlanner;

const SEARCH_IMAGES: usize = 5000;
const SEARCH_DIRECTIONS: usize = 10_000;
const IMAGES: usize = 512;
const REFERENCES: usize = 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let particles = noise_images(SEARCH_IMAGES)?;
    let density = density(&particles)?;
    let kernel = kernel(&particles.subset(IMAGES, 1), &density);
    println!(
        "{IMAGES} × {} directions: {:.3} µs an image and direction; products {:.3} (bare gemm {:.3}), transforms and maxima {:.3} (bare \
         real FFTs of {} {:.3})",
        2 * REFERENCES,
        kernel.all,
        kernel.products,
        kernel.gemm,
        kernel.all - kernel.products,
        kernel.angles,
        kernel.ffts
    );

    let options = SearchOptions { low_pass: 1.0, directions: SEARCH_DIRECTIONS / 2, ..SearchOptions::default() };
    let start = cpu_time::ProcessTime::now();
    search(&particles, &density, &options, &Task::silent())?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "search of {SEARCH_IMAGES} images × {SEARCH_DIRECTIONS} directions: {seconds:.1} CPU s, peak memory {:.2} GB",
        peak_memory_gb()
    );
    println!(
        "BENCH {{\"us_cpu_per_image_direction\": {:.4}, \"products_over_gemm\": {:.3}, \"rest_over_ffts\": {:.3}, \
         \"search_cpu_seconds\": {seconds:.2}, \"search_peak_gb\": {:.2}, \"low_pass\": 1.0, \"diameter\": 25.0, \"box\": {:.2}}}",
        kernel.all,
        kernel.gemm / kernel.products,
        (kernel.all - kernel.products) / kernel.ffts,
        peak_memory_gb(),
        particles.edge()
    );
    Ok(())
}

/// Images of 200² pixels of 0.25 Å that hold noise: the kernel's cost does not depend on what they show.
fn noise_images(count: usize) -> Result<Particles, Box<dyn std::error::Error>> {
    let mut rng = random::stream(1, "matching bench", 0);
    let noise = Array3::from_shape_simple_fn((count, 200, 200), || rng.sample(StandardNormal));
    let options = PrepareOptions { diameter: 25.0, tolerance: 0.0, low_pass: 1.0, crop: 2.0 };
    Ok(Particles::prepare(&Images::new(noise, 0.25), &options, &Task::silent())?)
}

fn density(particles: &Particles) -> Result<Volume, Box<dyn std::error::Error>> {
    let particle = bundled("pbse_2.5nm")?;
    let atoms: Vec<_> =
        particle.atoms().iter().map(|atom| (atom.position, f64::from(atom.element.atomic_number()))).collect();
    let size = grid_size(particles.edge(), 1.0);
    Ok(density_of_atoms(&atoms, 0.4, size, particles.edge() / size as f64))
}

/// CPU microseconds an image and direction.
struct Kernel {
    all: f64,
    products: f64,
    gemm: f64,
    ffts: f64,
    angles: usize,
}

fn kernel(particles: &Particles, density: &Volume) -> Kernel {
    let rings = Rings::new(particles, 1.0);
    let views: Vec<_> = directions(REFERENCES).iter().map(|q| q.to_rotation_matrix().into_inner()).collect();
    let task = Task::silent();
    let references =
        Expansion::of_slices(&rings, &Spectrum::new(density, 1.0), &views, &task).expect("nobody stops it");
    let images = PixelBasis::new(&rings, particles).expand(particles, &task).expect("nobody stops it");
    let correlator = Correlator::new(&rings, &images, &references);
    let pairs = (IMAGES * REFERENCES) as f64;

    let all = microseconds(2.0 * pairs, || {
        let task = Task::silent();
        black_box(best_matches(&correlator, &task.stage("bench", 1)).expect("nobody stops it"));
    });
    let mut work = correlator.workspace();
    let products = microseconds(2.0 * pairs, || {
        for image in 0..IMAGES / TILE {
            for reference in 0..REFERENCES / TILE {
                correlator.multiply(image, reference, &mut work);
            }
        }
    });
    Kernel { all, products, gemm: gemm(&rings, pairs), ffts: ffts(rings.angles, pairs), angles: rings.angles }
}

/// The same products of matrices that are already where they are needed.
fn gemm(rings: &Rings, pairs: f64) -> f64 {
    let factors: Vec<_> = rings
        .radial
        .iter()
        .map(|basis| {
            let columns = || Array2::from_elem((basis.rank(), COLUMNS), 0.5f32);
            (columns(), columns())
        })
        .collect();
    let mut out = Array2::zeros((COLUMNS, COLUMNS));
    let tiles = pairs as usize / (TILE * TILE);
    microseconds(2.0 * pairs, || {
        for _ in 0..tiles {
            for (a, b) in &factors {
                multiply(a.t(), b.view(), out.view_mut(), false);
            }
        }
        black_box(&out);
    })
}

/// Real FFTs back to the angles, one for a direction and one for its mirror image.
fn ffts(angles: usize, pairs: f64) -> f64 {
    let fft = RealFftPlanner::<f32>::new().plan_fft_inverse(angles);
    let (mut input, mut output, mut scratch) = (fft.make_input_vec(), fft.make_output_vec(), fft.make_scratch_vec());
    microseconds(2.0 * pairs, || {
        for _ in 0..2 * pairs as usize {
            input.fill(Complex32::new(0.5, 0.0));
            fft.process_with_scratch(&mut input, &mut output, &mut scratch).expect("buffers of the planned size");
        }
        black_box(&output);
    })
}

/// CPU microseconds of `work` over `count`, the best of three.
fn microseconds(count: f64, mut work: impl FnMut()) -> f64 {
    let seconds = (0..3).map(|_| {
        let start = cpu_time::ProcessTime::now();
        work();
        start.elapsed().as_secs_f64()
    });
    seconds.fold(f64::MAX, f64::min) * 1e6 / count
}

/// Most memory that this process has held; 0 where the system does not tell.
fn peak_memory_gb() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok())
        .map_or(0.0, |kb| kb * 1024.0 / 1e9)
}
