//! Jobs on disk: a file for each, so that the next host still knows them.

use std::{
    collections::BTreeSet,
    fs, io,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::compute::simulated::{Batch, Record};

/// Changes of a job that lives on are written at most this often: little is lost, since with its host it fails anyway.
const AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// The files, and what is not in them yet. Written for the next process, not against loss of power: nothing is synced.
#[derive(Debug)]
pub(super) struct Records {
    folder: PathBuf,
    on_disk: BTreeSet<u64>,
    unwritten: BTreeSet<u64>,
    written: Instant,
}

impl Records {
    /// All jobs that earlier hosts have left. One that cannot be read is nobody's any more.
    pub(super) fn load(folder: PathBuf) -> io::Result<(Records, Vec<Record>)> {
        let mut on_disk = BTreeSet::new();
        let mut records = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            // Not of a file that was being written when its host died.
            let finished = path.extension().is_some_and(|extension| extension == "json");
            let number = path.file_stem().filter(|_| finished).and_then(|stem| stem.to_str()?.parse().ok());
            let record = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            match (number, record) {
                (Some(number), Some(record)) => {
                    on_disk.insert(number);
                    records.push(record);
                }
                _ => fs::remove_file(&path)?,
            }
        }
        Ok((Records { folder, on_disk, unwritten: BTreeSet::new(), written: Instant::now() }, records))
    }

    /// Takes note of a job as it is now. A new or terminal one is on disk when this returns.
    pub(super) fn note(&mut self, number: u64, record: Option<&Record>) -> io::Result<()> {
        match record {
            None => self.remove(number),
            Some(record) if record.is_terminal() || !self.on_disk.contains(&number) => {
                self.write(number, record)
            }
            Some(_) => {
                self.unwritten.insert(number);
                Ok(())
            }
        }
    }

    /// Writes what is not written yet, now and then.
    pub(super) fn catch_up(&mut self, batch: &Batch) -> io::Result<()> {
        if self.unwritten.is_empty() || self.written.elapsed() < AT_MOST_EVERY {
            return Ok(());
        }
        self.written = Instant::now();
        let unwritten = std::mem::take(&mut self.unwritten).into_iter();
        let mut records = unwritten.filter_map(|number| Some((number, batch.record(number)?)));
        records.try_for_each(|(number, record)| self.write(number, record))
    }

    fn write(&mut self, number: u64, record: &Record) -> io::Result<()> {
        let path = self.path(number);
        let unfinished = path.with_extension("unfinished");
        fs::write(&unfinished, serde_json::to_vec(record)?)?;
        fs::rename(unfinished, path)?;
        self.on_disk.insert(number);
        self.unwritten.remove(&number);
        Ok(())
    }

    fn remove(&mut self, number: u64) -> io::Result<()> {
        self.unwritten.remove(&number);
        if self.on_disk.remove(&number) { fs::remove_file(self.path(number)) } else { Ok(()) }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number}.json"))
    }
}
