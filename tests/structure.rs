//! Particles cut from crystals, against bundled particles that another program cut, and against counting.

use nalgebra::{Point3, Vector3};
use pedesis::structure::{Displacement, Element, Lattice, LatticeKind, Sphere, Structure, bundled};

fn elements(symbols: &[&str]) -> Vec<Element> {
    symbols.iter().map(|symbol| symbol.parse().unwrap()).collect()
}

/// Largest distance from an atom of `found` to the atom of the same element of `expected` that is nearest.
fn largest_mismatch(found: &Structure, expected: &Structure) -> f64 {
    let nearest = |element: Element, position: Point3<f64>| {
        let same = expected.atoms().iter().filter(|atom| atom.element == element);
        same.map(|atom| (atom.position - position).norm()).fold(f64::INFINITY, f64::min)
    };
    found.atoms().iter().map(|atom| nearest(atom.element, atom.position)).fold(0.0, f64::max)
}

#[test]
fn rocksalt_sphere_is_the_bundled_ideal_particle() {
    let lattice = Lattice::new(LatticeKind::Rocksalt, &elements(&["Pb", "Se"]), 6.124, None, None).unwrap();
    let options = Sphere { centre: [0.2035, 0.2623, 0.7504], min_neighbours: 2, ..Sphere::default() };
    let sphere = lattice.sphere(25.0, &options).unwrap();
    let ideal = bundled("pbse_2.5nm_ideal").unwrap().centred();
    assert_eq!(sphere.formula(), ideal.formula());
    assert!(largest_mismatch(&sphere, &ideal) < 2e-3, "{}", largest_mismatch(&sphere, &ideal));
}

#[test]
fn zincblende_sphere_is_the_bundled_ideal_particle() {
    let lattice = Lattice::new(LatticeKind::ZincBlende, &elements(&["Cd", "Se"]), 6.077, None, None).unwrap();
    let options = Sphere { centre: [0.9318, 0.2439, 0.1471], min_neighbours: 2, ..Sphere::default() };
    let sphere = lattice.sphere(25.0, &options).unwrap();
    let ideal = bundled("cdse_zb_2.5nm_ideal").unwrap().centred();
    assert_eq!(sphere.formula(), ideal.formula());
    assert!(largest_mismatch(&sphere, &ideal) < 2e-3, "{}", largest_mismatch(&sphere, &ideal));
}

#[test]
fn rocksalt_sphere_is_stoichiometric_to_one_percent() {
    let lattice = Lattice::new(LatticeKind::Rocksalt, &elements(&["Pb", "Se"]), 6.124, None, None).unwrap();
    for seed in 0..5 {
        let sphere = lattice.sphere(80.0, &Sphere { random_centre: true, seed, ..Sphere::default() }).unwrap();
        let composition = sphere.composition();
        assert!((composition[0].1 as f64 / composition[1].1 as f64 - 1.0).abs() < 0.01, "{}", sphere.formula());
    }
}

#[test]
fn alloys_have_exact_counts_in_random_places() {
    let lattice = Lattice::new(LatticeKind::Fcc, &elements(&["Fe", "Pt"]), 3.838, None, None).unwrap();
    let cut = |seed| {
        let options = Sphere { composition: vec![40.0, 60.0], seed, min_neighbours: 4, ..Sphere::default() };
        lattice.sphere(25.0, &options).unwrap()
    };
    let (first, second) = (cut(1), cut(2));
    let iron = first.composition()[0].1 as f64;
    assert!((iron - 0.4 * first.len() as f64).abs() <= 0.5);
    assert_eq!(first.formula(), second.formula());
    assert_ne!(first, second);
    assert_eq!(first, cut(1));
    // A random alloy has no preference: like neighbours are as frequent as the composition says.
    let pairs = first.atoms().iter().enumerate().flat_map(|(i, p)| first.atoms()[..i].iter().map(move |q| (p, q)));
    let bonds: Vec<bool> =
        pairs.filter(|(p, q)| (p.position - q.position).norm() < 3.0).map(|(p, q)| p.element == q.element).collect();
    let alike = bonds.iter().filter(|&&alike| alike).count() as f64 / bonds.len() as f64;
    assert!((alike - 0.52).abs() < 0.05, "{alike} of the bonds join like atoms; 0.4² + 0.6² = 0.52 expected");
}

#[test]
fn undercoordinated_atoms_are_removed() {
    let lattice = Lattice::new(LatticeKind::Fcc, &elements(&["Pt"]), 3.924, None, None).unwrap();
    let options = Sphere { centre: [0.13, 0.4, 0.77], min_neighbours: 5, ..Sphere::default() };
    let sphere = lattice.sphere(25.0, &options).unwrap();
    for atom in sphere.atoms() {
        let near = sphere.atoms().iter().filter(|other| (other.position - atom.position).norm() < 3.0).count() - 1;
        assert!(near >= 5);
    }
    assert!(sphere.len() < lattice.sphere(25.0, &Sphere { min_neighbours: 0, ..options }).unwrap().len());
}

#[test]
fn displacements_have_the_given_root_mean_square() {
    let lattice = Lattice::new(LatticeKind::Fcc, &elements(&["Pt"]), 3.924, None, None).unwrap();
    let ideal = lattice.sphere(60.0, &Sphere::default()).unwrap();
    let moved = ideal.displaced(&Displacement { rms: 0.12, seed: 5 }).unwrap();
    let offsets: Vec<Vector3<f64>> =
        ideal.atoms().iter().zip(moved.atoms()).map(|(p, q)| q.position - p.position).collect();
    let mean_square = offsets.iter().map(Vector3::norm_squared).sum::<f64>() / offsets.len() as f64;
    // 3n normal deviates: the mean square scatters by √(2/3n).
    assert!((mean_square.sqrt() / 0.12 - 1.0).abs() < 3.0 * (1.0 / (6.0 * offsets.len() as f64)).sqrt());
    assert_eq!(moved, ideal.displaced(&Displacement { rms: 0.12, seed: 5 }).unwrap());
}

#[test]
fn spheres_that_cannot_be_are_refused_with_the_reason() {
    let pt = Lattice::new(LatticeKind::Fcc, &elements(&["Pt"]), 3.924, None, None).unwrap();
    let pbse = Lattice::new(LatticeKind::Rocksalt, &elements(&["Pb", "Se"]), 6.124, None, None).unwrap();
    let message =
        |lattice: &Lattice, diameter, options: Sphere| lattice.sphere(diameter, &options).unwrap_err().to_string();
    assert!(message(&pt, 0.0, Sphere::default()).contains("0 Å"));
    assert!(message(&pt, f64::NAN, Sphere::default()).contains("NaN"));
    assert!(message(&pt, 1e5, Sphere::default()).contains("atoms"));
    let far = Sphere { centre: [0.25, 0.25, 0.25], ..Sphere::default() };
    assert!(message(&pt, 0.5, far).contains("no atom is left"));
    assert!(
        message(&pt, 20.0, Sphere { composition: vec![0.5, 0.5], ..Sphere::default() })
            .contains("one fraction a species")
    );
    assert!(message(&pbse, 20.0, Sphere { composition: vec![0.5, 0.5], ..Sphere::default() }).contains("fixed sites"));
    assert!(message(&pt, 20.0, Sphere { min_neighbours: 13, ..Sphere::default() }).contains("at least 13"));
    assert!(bundled("pbse_2.5nm").unwrap().displaced(&Displacement { rms: -1.0, seed: 0 }).is_err());
}
