//! Which jobs Batch takes.

use serde_json::{Value, json};

use super::{record::Record, rules::Rules};
use crate::compute::{JobSpec, MAX_WORKERS};

/// Of the whole SubmitJob request, in bytes. A longer one is refused.
const REQUEST_BYTES: usize = 30 << 10;

/// Of the container overrides, which ECS looks at when it starts a container: the job is taken, and fails.
const OVERRIDES_CHARS: usize = 8192;

/// What Batch has to say against a job.
pub(super) fn refusal(spec: &JobSpec, rules: &Rules) -> Option<String> {
    let JobSpec { name, workers, environment, milli_vcpus, memory, attempts, attempt_timeout } = spec;
    let name_fits = name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !name_fits {
        return Some(format!("job name `{name}` is not 1 to 128 of [A-Za-z0-9_-], an alphanumeric first"));
    }
    if !(1..=MAX_WORKERS).contains(workers) {
        return Some(format!("array size {workers} is not between 2 and {MAX_WORKERS}"));
    }
    if !(1..=10).contains(attempts) {
        return Some(format!("retry attempts must be between 1 and 10, got {attempts}"));
    }
    if *attempt_timeout < rules.shortest_timeout {
        return Some(format!(
            "attemptDurationSeconds must be at least {}, got {}",
            rules.shortest_timeout.as_secs_f64(),
            attempt_timeout.as_secs_f64()
        ));
    }
    if *milli_vcpus == 0 || *memory < 4 || rules.fargate && !fargate_has(*milli_vcpus, *memory) {
        return Some(format!(
            "{} vCPU with {memory} MiB of memory is not a size that a container can have",
            f64::from(*milli_vcpus) / 1000.0
        ));
    }
    if let Some((name, _)) =
        environment.iter().find(|(name, _)| name.is_empty() || name.starts_with("AWS_BATCH"))
    {
        return Some(format!("environment variable `{name}` may not be named so"));
    }
    let size = request(spec).to_string().len();
    (size >= REQUEST_BYTES).then(|| {
        format!("Job size must be less than {} KiB, got {} KiB", REQUEST_BYTES >> 10, size.div_ceil(1 << 10))
    })
}

/// Whether ECS will refuse to start the job's containers.
pub(super) fn overrides_too_long(record: &Record, index: u32, attempt: u32) -> bool {
    let own = record.own_variables(index, attempt);
    overrides(&record.spec, given(&record.spec).chain(own)).to_string().chars().count() > OVERRIDES_CHARS
}

/// The request as it goes over the wire, but for names that are the account's.
fn request(spec: &JobSpec) -> Value {
    json!({
        "jobName": spec.name,
        "jobQueue": "cloud",
        "jobDefinition": "cloud:1",
        "arrayProperties": { "size": spec.workers },
        "containerOverrides": overrides(spec, given(spec)),
        "retryStrategy": { "attempts": spec.attempts },
        "timeout": { "attemptDurationSeconds": spec.attempt_timeout.as_secs() },
    })
}

fn given(spec: &JobSpec) -> impl Iterator<Item = (&str, String)> {
    spec.environment.iter().map(|(name, value)| (name.as_str(), value.clone()))
}

fn overrides<'a>(spec: &JobSpec, environment: impl Iterator<Item = (&'a str, String)>) -> Value {
    let environment: Vec<Value> =
        environment.map(|(name, value)| json!({ "name": name, "value": value })).collect();
    json!({
        "environment": environment,
        "resourceRequirements": [
            { "type": "VCPU", "value": (f64::from(spec.milli_vcpus) / 1000.0).to_string() },
            { "type": "MEMORY", "value": spec.memory.to_string() },
        ],
    })
}

fn fargate_has(milli_vcpus: u32, memory: u32) -> bool {
    let steps =
        |range: std::ops::RangeInclusive<u32>, step| range.contains(&memory) && memory.is_multiple_of(step);
    match milli_vcpus {
        250 => [512, 1024, 2048].contains(&memory),
        500 => steps(1024..=4096, 1024),
        1000 => steps(2048..=8192, 1024),
        2000 => steps(4096..=16_384, 1024),
        4000 => steps(8192..=30_720, 1024),
        8000 => steps(16_384..=61_440, 4096),
        16_000 => steps(32_768..=122_880, 8192),
        32_000 => [61_440, 122_880, 249_856].contains(&memory),
        _ => false,
    }
}
