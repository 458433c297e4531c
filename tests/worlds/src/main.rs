//! Runs worlds.
use std::rc::Rc;
use thaw_worlds::{deployed::Deployed, stack, workflow::Workflow, world::World};

fn main() {
    let mut args = std::env::args().skip(1);
    let from: u64 = args.next().unwrap().parse().unwrap();
    let to: u64 = args.next().unwrap().parse().unwrap();
    let workflow = Rc::new(Workflow::load(include_str!("../../../statemachine/thaw.asl.json")).unwrap());
    let deployed = Rc::new(Deployed::read());
    let mut promises = std::collections::BTreeMap::<&str, (u32, u64, String)>::new();
    let begun = std::time::Instant::now();
    for seed in from..to {
        let world = World::of(seed);
        let stack = stack::run(&world, &workflow, &deployed, to - from == 1);
        if to - from == 1 { println!("{:#?}\n{}", world, stack.journal()); }
        let check = stack.check.borrow();
        if let Some(broken) = check.broken.first() {
            let entry = promises.entry(broken.promise).or_insert((0, seed, broken.says.clone()));
            entry.0 += 1;
        }
        if to - from == 1 { println!("{:#?}", check.broken); }
    }
    println!("{:?} for {} worlds", begun.elapsed(), to - from);
    for (promise, (count, seed, says)) in promises { println!("{count:5}  {promise}\n       first: {seed}: {}", says.chars().take(400).collect::<String>()); }
}
