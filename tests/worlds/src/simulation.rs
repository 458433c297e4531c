//! Runs a world: the real workflow and the real steps, over simulated services, in virtual time.
//!
//! All of thaw runs in one thread. Time jumps to the next timer or the next event of the simulated S3 and CloudFront, so a
//! simulation of weeks takes milliseconds.

mod actions;
mod client;
mod executions;
mod fault_injector;
mod functions;
mod handlers;
mod messages;
mod ports;
mod queue;
mod queues;
mod services;
mod simulator;
mod stale_reads;
mod step_functions;

use std::rc::Rc;

use jiff::SignedDuration;

use self::simulator::Simulator;
use crate::coverage::Coverage;
use crate::deployment::Deployment;
use crate::environment::QueueName;
use crate::promises::Violation;
use crate::runtime::add;
use crate::workflow::Workflow;
use crate::world::World;

/// When a simulation ends at the latest. The longest deadline is a week after the last action, so every restore has ended.
const MAX_DURATION: SignedDuration = SignedDuration::from_hours(40 * 24);

/// The result of a simulation.
#[derive(Debug, Default)]
pub struct Report {
    /// The broken promises, in the order in which they broke.
    pub violations: Vec<Violation>,
    /// What happened, and how often.
    pub coverage: Coverage,
    /// What happened when, if a timeline was requested.
    pub timeline: String,
}

/// Runs a world to its end.
pub fn run(world: &World, workflow: &Rc<Workflow>, deployment: &Rc<Deployment>, with_timeline: bool) -> Report {
    let simulator = Rc::new(Simulator::new(world, workflow, deployment, executions::spawn, with_timeline));
    start_tasks(&simulator);
    advance_until_the_end(&simulator);
    let mut checker = simulator.checker.borrow_mut();
    checker.simulation_ended(&simulator.env);
    let report = Report {
        violations: std::mem::take(&mut checker.violations),
        coverage: std::mem::take(&mut checker.coverage),
        timeline: simulator.env.timeline(),
    };
    drop(checker);
    // The simulator owns the tasks, and the tasks own the simulator.
    simulator.env.runtime.clear();
    report
}

/// Starts the consumers of the queues and the actions of the world.
fn start_tasks(simulator: &Rc<Simulator>) {
    let runtime = &simulator.env.runtime;
    for queue in QueueName::ALL {
        for _ in 0..simulator.event_source(queue).maximum_concurrency {
            runtime.spawn(queues::consume(Rc::clone(simulator), queue));
        }
    }
    for action in &simulator.env.world.actions {
        let (simulator, action) = (Rc::clone(simulator), action.clone());
        runtime.spawn(async move {
            simulator.env.runtime.sleep_until(simulator.env.at(action.at)).await;
            actions::perform(&simulator, action.kind).await;
        });
    }
}

/// Runs tasks and advances the time until nothing is left to happen.
fn advance_until_the_end(simulator: &Rc<Simulator>) {
    let env = &simulator.env;
    let end = add(env.start, MAX_DURATION);
    loop {
        let timer = env.runtime.run_until_idle();
        let event = env.aws.with(|sim, _| sim.next_event_at());
        let Some(next) = [timer, event].into_iter().flatten().min().filter(|next| *next <= end) else { break };
        env.runtime.advance_to(next.max(env.now()));
        services::observe_batch_jobs(simulator);
        queues::deliver_s3_events(simulator);
    }
}
