//! `sweep::` many runs.

use rhai::plugin::*;

/// Many runs: every combination of some parameters.
#[export_module(manifest)]
pub mod api {
    use rhai::{Array, Dynamic, Map};

    use crate::script::{ScriptResult, fault};

    /// Lists every combination of the given values, as an array of maps.
    ///
    /// * `parameters`: a map from the name of each parameter to an array of its values.
    ///
    /// The order never changes: parameters are sorted by name, the last varies fastest, values keep their order.
    /// An empty array of values is an error, and so are more than a million combinations.
    ///
    /// ```rhai
    /// for run in sweep::grid(#{ low_pass: [1.0, 1.2], seed: [1, 2] }) {
    ///     print(`low_pass ${run.low_pass}, seed ${run.seed}`);
    /// }
    /// ```
    #[rhai_fn(return_raw)]
    pub fn grid(parameters: Map) -> ScriptResult<Array> {
        let parameters = parameters
            .into_iter()
            .map(|(name, values)| match values.into_array() {
                Ok(values) => Ok((name.to_string(), values)),
                Err(kind) => Err(fault(format!("parameter {name:?} needs an array of values, not a {kind}"))),
            })
            .collect::<ScriptResult<Vec<_>>>()?;
        let combinations = crate::sweep::grid(&parameters).map_err(fault)?;
        let map =
            |run: Vec<(String, Dynamic)>| run.into_iter().map(|(name, value)| (name.into(), value)).collect::<Map>();
        Ok(combinations.into_iter().map(map).map(Dynamic::from_map).collect())
    }
}
