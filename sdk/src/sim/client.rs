//! A simulated client: what `cloud` does, with a scripted owner.

use std::{sync::Arc, time::Duration};

use futures_util::future::{Either, join, select};
use tokio::sync::{mpsc, oneshot};

use super::{
    plan::ClientPlan,
    sabotage,
    world::{Pid, SimClock, World},
};
use crate::{
    clock::Clock,
    engine::{Command, PIECES, Packed, Packer, Planned, Request, Site, Wires, find, plan, resume, submit},
    error::{Error, Result},
    function::Codec,
    wire::{Function, Hash, Program, StoreLocation},
};

pub(super) async fn client(world: Arc<World>, pid: Pid, script: ClientPlan, plans: bool) {
    let clock: Arc<dyn Clock> = Arc::new(SimClock { world: Arc::clone(&world), pid });
    let site = Site {
        store: sabotage::client_store(&world, pid),
        compute: sabotage::client_compute(&world, pid),
        clock: Arc::clone(&clock),
        location: StoreLocation::Dir("/simulated".into()),
    };
    let (command, commands) = mpsc::unbounded_channel();
    let (progress, _told) = mpsc::unbounded_channel();
    let (want, wanted) = oneshot::channel();
    let (deliveries, mut taken) = mpsc::channel(PIECES);
    let wires = Wires { commands, progress, wanted, deliveries };
    if let Some(in_order) = script.wanted {
        let _ = want.send(in_order);
    } else {
        drop(want);
    }
    let run = world.lock().plan.run;
    let main = async {
        if plans {
            let planned = plan_run(&world, site).await?;
            submit(&planned, wires).await
        } else {
            let found = find(site, run).await?;
            if script.cancel.is_none() {
                let _ = command.send(Command::Submit);
            }
            resume(found, wires).await
        }
    };
    let take = async {
        while let Some(delivery) = taken.recv().await {
            world.lock().note_delivery(pid, delivery);
            if script.slow > Duration::ZERO {
                clock.sleep(script.slow).await;
            }
        }
    };
    let owner = async {
        let asked = [
            script.cancel.map(|at| (at, Command::Cancel("its owner wants it".into()))),
            script.detach.map(|at| (at, Command::Detach)),
        ];
        let mut asked: Vec<_> = asked.into_iter().flatten().collect();
        asked.sort_by_key(|(at, _)| *at);
        for (at, order) in asked {
            let now = world.lock().now;
            clock.sleep(at.saturating_sub(now)).await;
            let mut inner = world.lock();
            inner.log(format_args!("client {pid} is told to {order:?}"));
            inner.audit.note_command(pid, &order);
            let _ = command.send(order);
        }
        std::future::pending::<()>().await;
    };
    let running = std::pin::pin!(join(main, take));
    let Either::Left(((ended, ()), _)) = select(running, std::pin::pin!(owner)).await else { return };
    let mut inner = world.lock();
    if let Err(error) = &ended {
        inner.log(format_args!("client {pid}: {error}"));
    }
    inner.note_client_end(pid, script.wanted, &ended);
}

async fn plan_run(world: &Arc<World>, site: Site) -> Result<Planned> {
    let all = Arc::clone(&world.lock().plan);
    let count = all.chunks.len() as u64;
    let (send, mut packed) = mpsc::channel(64);
    let mut packer = Packer::new(all.workers, all.counted.then_some(count));
    for index in 0..count {
        let part = packer.push(|out| {
            out.extend(index.to_le_bytes());
            Some(Ok(Codec::Postcard))
        });
        if let Some(part) = part {
            let _ = send.send(Packed::Part(part)).await;
        }
    }
    let (parts, layout) = packer.finish();
    for part in parts {
        let _ = send.send(Packed::Part(part)).await;
    }
    let _ = send.send(Packed::Layout(layout)).await;
    let nothing = Hash::of(b"");
    let request = Request {
        run: all.run,
        label: "simulated".into(),
        function: Function { id: 1, path: "f".into(), output: "[u8; 8]".into() },
        program: Program { hash: nothing, bytes: 0 },
        shared: None,
        options: all.options.clone(),
    };
    let planned = plan(site, request, &mut packed).await?;
    planned.ok_or(Error::NoRun { run: all.run })
}
