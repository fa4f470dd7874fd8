//! Kinematic images of a bundled particle: 600 of 160×160 pixels, in random poses. The last line is `BENCH {json}`.

use std::time::Instant;

use pedesis::microscope::{Method, Simulation, paper, simulate};
use pedesis::structure::bundled;
use pedesis::task::Task;

const IMAGES: usize = 600;

fn main() {
    let options = Simulation { method: Some(Method::Kinematic), n: Some(IMAGES), seed: 1, ..Simulation::default() };
    let mut figures = serde_json::Map::new();
    for name in ["fept_1.5nm", "pbse_2.5nm", "fept_3.0nm"] {
        let particle = bundled(name).expect("bundled");
        let best = (0..5).map(|_| {
            let start = Instant::now();
            simulate(&particle, &paper(), &options, &Task::silent()).expect("valid options");
            start.elapsed().as_secs_f64()
        });
        let ms = 1e3 * best.fold(f64::INFINITY, f64::min) / IMAGES as f64;
        println!("{particle}: {ms:.3} ms an image on {} threads", rayon::current_num_threads());
        figures.insert(format!("ms_per_image_{}_atoms", particle.len()), ms.into());
    }
    println!("BENCH {}", serde_json::Value::Object(figures));
}
