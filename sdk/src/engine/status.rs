//! Looks at runs without taking part in them.

use super::{launch::find, site::Site};
use crate::{
    compute::JobId,
    error::Result,
    run::{RunState, Status},
    wire::{Keys, RunId, keys::RUNS},
};

/// Where a run is, by what is stored and what Batch says.
///
/// # Errors
/// When there is no such run, or no answer.
pub(crate) async fn status(site: Site, run: RunId) -> Result<Status> {
    let found = find(site, run).await?;
    let site = &found.planned.site;
    let manifest = &found.planned.manifest;
    let keys = Keys::of(run);
    let blocks = manifest.block_count();
    let mut blocks_done = site.list(&keys.outs(), "").await?.len() as u32;
    let mut workers = Vec::new();
    let job = found.rounds.0.values().next_back().and_then(|(_, submitted)| submitted.clone());
    let state = if let Some(closed) = &found.closed {
        blocks_done = blocks - closed.uncounted.len() as u32;
        match closed.uncounted.first() {
            None => RunState::Complete,
            Some(_) if closed.cancelled => RunState::Cancelled,
            Some(first) => RunState::Failed { kind: first.kind.clone(), reason: first.reason.clone() },
        }
    } else if found.rounds.0.is_empty() {
        RunState::Prepared
    } else {
        let jobs: Vec<JobId> = job.map(|submitted| JobId(submitted.job)).into_iter().collect();
        let described = site.ask(async || site.compute.describe(&jobs).await).await?;
        let living = described.iter().any(|job| !job.state.is_terminal());
        workers = described.into_iter().flat_map(|job| job.workers).collect();
        if found.cancelled.is_some() {
            RunState::Cancelling
        } else if blocks_done == blocks {
            // Nobody was there to close it.
            RunState::Complete
        } else if living || jobs.is_empty() {
            RunState::Running
        } else {
            RunState::Unattended
        }
    };
    Ok(Status {
        id: run,
        label: manifest.label.clone(),
        state,
        chunks: manifest.chunks,
        blocks,
        blocks_done,
        workers,
    })
}

/// All runs that are stored, oldest first.
///
/// # Errors
/// When there is no answer.
pub(crate) async fn runs(site: Site) -> Result<Vec<RunId>> {
    let mut runs = Vec::new();
    let mut after = String::new();
    loop {
        let page = site.store.folders(RUNS, &after).await?;
        let ids = page
            .keys
            .iter()
            .filter_map(|folder| folder.strip_prefix(RUNS)?.strip_suffix('/')?.parse::<RunId>().ok());
        for run in ids {
            // Without a manifest there are only inputs of a map that was given up.
            if site.store.head(&Keys::of(run).manifest()).await?.is_some() {
                runs.push(run);
            }
        }
        match page.keys.last() {
            Some(last) if page.more => after.clone_from(last),
            _ => return Ok(runs),
        }
    }
}
