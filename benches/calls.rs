//! What a call from a script costs: of an empty kernel, as all kernels are called (`script::run`: in the session's threads, with its cancellation), and of an
//! empty function that Rhai itself calls; both less the loop that they stand in.

use std::time::Instant;

use pedesis::script::{self, Session, Setup};
use rhai::{Engine, NativeCallContext};

const CALLS: i64 = 1_000_000;
/// The best of so many runs counts: nothing makes a loop faster than it is.
const RUNS: usize = 5;

fn main() {
    let mut plain = Engine::new();
    plain.register_fn("empty", || ());
    let session = Session::new(Setup::default()).expect("a session");
    let mut engine = script::engine(&session);
    engine.register_fn("empty", |call: NativeCallContext| script::run(&call, |_| Ok::<(), String>(())));
    let [rhai, kernel] = [&plain, &engine].map(|engine| seconds(engine, "empty();") - seconds(engine, ""));
    let microseconds = |seconds: f64| 1e6 * seconds / CALLS as f64;
    let [rhai, kernel] = [rhai, kernel].map(microseconds);
    println!("a call of an empty kernel: {kernel:.3} µs; of Rhai's own: {rhai:.3} µs");
    println!("BENCH {{\"kernel_us\": {kernel:.4}, \"rhai_us\": {rhai:.4}, \"above_us\": {:.4}}}", kernel - rhai);
}

/// Wall seconds of a loop with `body` in it.
fn seconds(engine: &Engine, body: &str) -> f64 {
    let ast = engine.compile(format!("for i in 0..{CALLS} {{ {body} }}")).expect("a script");
    let run = || {
        let start = Instant::now();
        engine.run_ast(&ast).expect("it runs");
        start.elapsed().as_secs_f64()
    };
    (0..RUNS).map(|_| run()).fold(f64::INFINITY, f64::min)
}
