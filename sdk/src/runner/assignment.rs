//! What a worker is told from outside: the run, and which of Batch's children it is.

use crate::{
    names::{MANIFEST_VAR, RUN_VAR},
    wire::{Hash, Location, Origin},
};

/// Batch's own variables (user guide, "Job environment variables").
const JOB_ID: &str = "AWS_BATCH_JOB_ID";
const JOB_ATTEMPT: &str = "AWS_BATCH_JOB_ATTEMPT";
const ARRAY_INDEX: &str = "AWS_BATCH_JOB_ARRAY_INDEX";

/// All that a worker begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) location: Location,
    /// Of the manifest: a worker computes on nothing else.
    pub(crate) manifest: Hash,
    pub(crate) origin: Origin,
    /// Whose home blocks come first; `None` where Batch gives no index, and a number must be claimed.
    pub(crate) number: Option<u32>,
}

impl Assignment {
    /// Reads it from variables, as `get` gives them.
    ///
    /// # Errors
    /// With the variable that is missing or wrong.
    pub(crate) fn from_variables(get: impl Fn(&str) -> Option<String>) -> Result<Assignment, String> {
        let wanted = |name: &str| get(name).ok_or_else(|| format!("the variable `{name}` is not set"));
        let location = wanted(RUN_VAR)?.parse().map_err(|wrong| format!("`{RUN_VAR}`: {wrong}"))?;
        let manifest = wanted(MANIFEST_VAR)?;
        let manifest = Hash::parse(&manifest)
            .ok_or_else(|| format!("`{MANIFEST_VAR}` is `{manifest}`, expected 64 hexadecimal digits"))?;
        let id = get(JOB_ID).unwrap_or_default();
        let attempt = get(JOB_ATTEMPT).and_then(|attempt| attempt.parse().ok()).unwrap_or(1);
        // A child's id is `parent:index`, also where the index variable is missing.
        let (job, from_id) = match id.rsplit_once(':') {
            Some((job, index)) if index.parse::<u32>().is_ok() => (job.to_string(), index.parse().ok()),
            _ => (id, None),
        };
        let number = get(ARRAY_INDEX).and_then(|index| index.parse().ok()).or(from_id);
        let origin = Origin { job, index: number.unwrap_or(0), attempt };
        Ok(Assignment { location, manifest, origin, number })
    }
}
