//! Seeds of the simulator: some that ran well, each that once did not, and by `VERMAS_LONG=1` twenty thousand.

use git_vermas::app::simulate;

/// Seeds with which a promise was once broken.
const ONCE_BROKEN: &[u64] = &[500_043, 500_121, 700_567, 700_679, 700_771];

fn assert_kept(first: u64, count: u64) {
    let report = simulate::run(first, count, false, &|_| {}).unwrap();
    assert_eq!(report.failed, 0, "{:#?}", report.failures);
    println!("{} seeds in {} s: {:?}", report.seeds, report.seconds, report.tally);
}

#[test]
fn machines_that_meet_after_anything_agree_and_have_lost_nothing() {
    if std::env::var_os("VERMAS_LONG").is_some() { assert_kept(1, 20_000) } else { assert_kept(1, 4) }
}

#[test]
fn a_seed_that_once_broke_a_promise_breaks_none() {
    for seed in ONCE_BROKEN {
        assert_kept(*seed, 1);
    }
}
