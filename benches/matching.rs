//! Cost of comparing images with directions, all in-plane angles, at 1.0 Å: a particle of 25 Å in a box of 50 Å.
//!
//! Prints CPU microseconds per image and direction of the whole kernel (references, expansion, products, FFTs, maxima); a direction here
//! is one of the full sphere, of which the kernel treats two (a direction and its mirror image) at once.

use ndarray::Array3;
use pedesis::images::{Images, Particles, PrepareOptions};
use pedesis::orient::{SearchOptions, search};
use pedesis::random;
use pedesis::structure::bundled;
use pedesis::task::Task;
use pedesis::volume::density_of_atoms;
use rand::RngExt;
use rand_distr::StandardNormal;

const IMAGES: usize = 256;
const DIRECTIONS: usize = 4096;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = random::stream(1, "matching bench", 0);
    let noise = Array3::from_shape_simple_fn((IMAGES, 200, 200), || rng.sample(StandardNormal));
    let task = Task::silent();
    let options = PrepareOptions { diameter: 25.0, low_pass: 1.0, crop: 2.0 };
    let particles = Particles::prepare(&Images::new(noise, 0.25), &options, &task)?;
    let atoms: Vec<_> = bundled("pbse_2.5nm")?
        .atoms()
        .iter()
        .map(|atom| (atom.position, f64::from(atom.element.atomic_number())))
        .collect();
    let size = pedesis::volume::grid_size(particles.edge(), 1.0);
    let density = density_of_atoms(&atoms, 0.4, size, particles.edge() / size as f64);
    let options = SearchOptions { low_pass: 1.0, directions: DIRECTIONS / 2, ..SearchOptions::default() };

    let mut best = f64::MAX;
    for _ in 0..3 {
        let start = cpu_time::ProcessTime::now();
        search(&particles, &density, &options, &task)?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    let cost = best * 1e6 / (IMAGES * DIRECTIONS) as f64;
    println!("{IMAGES} images × {DIRECTIONS} directions, box {:.1} Å: {best:.2} CPU s", particles.edge());
    println!(
        "BENCH {{\"us_cpu_per_image_direction\": {cost:.4}, \"images\": {IMAGES}, \"directions\": {DIRECTIONS}, \
         \"low_pass\": 1.0, \"diameter\": 25.0, \"box\": {:.2}, \"cpu_seconds\": {best:.3}}}",
        particles.edge()
    );
    Ok(())
}
