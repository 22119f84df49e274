use super::*;

const QUEUE: Excess = Excess::Queue { size: 2, timeout: Duration::from_secs(5) };

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn rate(times: u32, burst: u32, excess: Excess) -> Limits {
    Limits { rate: Frequency::per_second(times), burst: Some(burst), excess, ..Limits::default() }
}

fn connections(most: u32, excess: Excess) -> Limits {
    Limits { connections: Some(most), excess, ..Limits::default() }
}

fn waits(turnstile: &mut Turnstile<&'static str>, now: Instant, inside: usize, who: &'static str) -> u64 {
    assert_eq!(turnstile.arrive(now, inside), Answer::Wait, "{who}");
    turnstile.line_up(now, who)
}

#[test]
fn without_limits_everybody_enters() {
    let mut turnstile = Turnstile::<()>::new(Limits::default(), Instant::now());
    for inside in 0..10_000 {
        assert_eq!(turnstile.arrive(Instant::now(), inside), Answer::Enter);
    }
}

#[test]
fn a_flood_is_let_in_at_the_rate() {
    let start = Instant::now();
    let mut turnstile = Turnstile::<()>::new(rate(100, 10, Excess::Refuse), start);
    let entered = |millis| turnstile.arrive(start + ms(millis), 0) == Answer::Enter;
    assert_eq!((0..=10_000).flat_map(|at| [at; 3]).map(entered).filter(|entered| *entered).count(), 1_010);
}

#[test]
fn a_flood_through_the_queue_is_let_in_at_the_same_rate() {
    let start = Instant::now();
    let mut turnstile = Turnstile::new(rate(100, 10, QUEUE), start);
    let mut entered = 0;
    for at in 0..=10_000 {
        let now = start + ms(at);
        while let Some((_, verdict)) = turnstile.call(now, 0) {
            entered += usize::from(verdict.is_ok());
        }
        match turnstile.arrive(now, 0) {
            Answer::Enter => entered += 1,
            Answer::Wait => assert!(turnstile.line_up(now, ()) > 0),
            Answer::Refuse(why) => assert_eq!(why, Why::QueueFull(2)),
        }
    }
    // Some arrive while the first ones of the burst are still to come: 1,010, less what waits at the end.
    assert_eq!(entered, 1_010);
}

#[test]
fn a_late_look_makes_the_line_no_slower() {
    let start = Instant::now();
    let excess = Excess::Queue { size: 4_000, timeout: Duration::from_secs(100) };
    let mut turnstile = Turnstile::new(rate(300, 1, excess), start);
    assert_eq!(turnstile.arrive(start, 0), Answer::Enter);
    (0..4_000).for_each(|_| assert!(waits(&mut turnstile, start, 0, "one") > 0));
    let mut entered = 1;
    for at in (0..=10_000).step_by(8) {
        entered += std::iter::from_fn(|| turnstile.call(start + ms(at), 0)).count();
    }
    assert_eq!(entered, 3_001);
}

#[test]
fn tokens_are_not_saved_up_by_those_who_wait_for_a_place() {
    let start = Instant::now();
    let excess = Excess::Queue { size: 9, timeout: Duration::from_secs(100) };
    let mut turnstile = Turnstile::new(Limits { connections: Some(3), ..rate(1, 1, excess) }, start);
    (0..9).for_each(|_| assert!(waits(&mut turnstile, start, 3, "one") > 0));
    assert_eq!(turnstile.call(start, 3), None);
    let now = start + ms(60_000);
    assert_eq!(turnstile.call(now, 2), Some(("one", Ok(()))));
    assert_eq!(turnstile.call(now, 2), None);
    assert_eq!(turnstile.call(now + ms(999), 2), None);
    assert_eq!(turnstile.call(now + ms(1_000), 2), Some(("one", Ok(()))));
}

#[test]
fn the_reasons_are_told_in_words() {
    let start = Instant::now();
    let mut few = Turnstile::<()>::new(connections(1_000, Excess::Refuse), start);
    assert_eq!(few.arrive(start, 999), Answer::Enter);
    let Answer::Refuse(why) = few.arrive(start, 1_000) else { panic!("it is full") };
    assert_eq!(why.to_string(), "1000 connections are open already");
    let mut slow = Turnstile::<()>::new(rate(100, 1, Excess::Refuse), start);
    assert_eq!(slow.arrive(start, 0), Answer::Enter);
    let Answer::Refuse(why) = slow.arrive(start, 0) else { panic!("it is too often") };
    assert_eq!(why.to_string(), "more than 100/s new connections");
    assert_eq!(Why::QueueFull(100).to_string(), "the queue is full (100)");
    assert_eq!(Why::Waited(Duration::from_secs(5)).to_string(), "waited 5s for a turn");
    assert_eq!(Why::Connections(1).to_string(), "1 connection is open already");
}

#[test]
fn nobody_passes_those_who_wait() {
    let start = Instant::now();
    let mut turnstile = Turnstile::new(connections(1, QUEUE), start);
    assert_eq!(turnstile.arrive(start, 0), Answer::Enter);
    waits(&mut turnstile, start, 1, "first");
    // There is room, but somebody was there before.
    waits(&mut turnstile, start, 0, "second");
    assert_eq!(turnstile.arrive(start, 0), Answer::Refuse(Why::QueueFull(2)));
    assert_eq!(turnstile.call(start, 1), None);
    assert_eq!(turnstile.call(start, 0), Some(("first", Ok(()))));
    assert_eq!((turnstile.call(start, 1), turnstile.waiting()), (None, 1));
    assert_eq!(turnstile.call(start, 0), Some(("second", Ok(()))));
    assert_eq!(turnstile.arrive(start, 0), Answer::Enter);
}

#[test]
fn only_the_head_has_a_moment_to_wait_for() {
    let start = Instant::now();
    let mut turnstile = Turnstile::new(rate(4, 1, QUEUE), start);
    assert_eq!(turnstile.arrive(start, 0), Answer::Enter);
    let first = waits(&mut turnstile, start + ms(10), 1, "first");
    let second = waits(&mut turnstile, start + ms(20), 1, "second");
    let due = |turnstile: &mut Turnstile<_>, ticket| turnstile.due(ticket, start + ms(20), 1);
    assert_eq!(due(&mut turnstile, first), Some(start + ms(250)));
    assert_eq!(due(&mut turnstile, second), None);
    assert!(turnstile.give_up(first) && !turnstile.give_up(first));
    assert_eq!((due(&mut turnstile, second), turnstile.head()), (Some(start + ms(250)), Some(&"second")));
    assert_eq!(turnstile.call(start + ms(249), 1), None);
    assert_eq!(turnstile.call(start + ms(250), 1), Some(("second", Ok(()))));
}

#[test]
fn waiting_ends_when_its_time_is_over() {
    let start = Instant::now();
    let mut turnstile = Turnstile::new(connections(1, QUEUE), start);
    assert_eq!(turnstile.arrive(start, 0), Answer::Enter);
    let first = waits(&mut turnstile, start, 1, "first");
    waits(&mut turnstile, start + ms(1), 1, "second");
    assert_eq!(turnstile.due(first, start, 1), Some(start + ms(5_000)));
    assert_eq!(turnstile.call(start + ms(4_999), 1), None);
    let waited = Err(Why::Waited(Duration::from_secs(5)));
    assert_eq!(turnstile.call(start + ms(5_000), 1), Some(("first", waited)));
    assert_eq!(turnstile.call(start + ms(5_000), 1), None);
    assert_eq!(turnstile.call(start + ms(5_001), 1), Some(("second", waited)));
}

#[test]
fn new_limits_hold_for_those_who_wait() {
    let start = Instant::now();
    let full = || {
        let mut turnstile = Turnstile::new(connections(1, QUEUE), start);
        waits(&mut turnstile, start, 1, "first");
        waits(&mut turnstile, start, 1, "second");
        turnstile
    };
    let mut wider = full();
    wider.change(connections(2, QUEUE), start);
    assert_eq!(wider.call(start, 1), Some(("first", Ok(()))));
    assert_eq!(wider.call(start, 2), None);

    let mut shorter = full();
    shorter.change(connections(1, Excess::Queue { size: 1, timeout: Duration::from_secs(5) }), start);
    assert_eq!(shorter.call(start, 1), Some(("second", Err(Why::QueueFull(1)))));
    assert_eq!(shorter.call(start, 1), None);

    let mut none = full();
    none.change(connections(1, Excess::Refuse), start);
    assert_eq!(none.call(start, 1), Some(("first", Err(Why::Connections(1)))));
    assert_eq!(none.call(start, 1), Some(("second", Err(Why::Connections(1)))));

    let mut open = full();
    open.change(Limits::default(), start);
    assert_eq!(open.call(start, 9), Some(("first", Ok(()))));
    assert_eq!(open.call(start, 10), Some(("second", Ok(()))));

    let mut hasty = full();
    hasty.change(connections(1, Excess::Queue { size: 2, timeout: ms(100) }), start);
    assert_eq!(hasty.call(start + ms(100), 1), Some(("first", Err(Why::Waited(ms(100))))));
}

#[test]
fn a_bucket_keeps_what_it_holds_when_other_things_change() {
    let start = Instant::now();
    let mut turnstile = Turnstile::<()>::new(rate(1, 2, Excess::Refuse), start);
    assert_eq!(turnstile.arrive(start, 0), Answer::Enter);
    turnstile.change(Limits { connections: Some(7), ..rate(1, 2, QUEUE) }, start);
    assert_eq!(turnstile.arrive(start, 1), Answer::Enter);
    assert_eq!(turnstile.arrive(start, 2), Answer::Wait);
    turnstile.never_entered();
    assert_eq!(turnstile.arrive(start, 2), Answer::Enter);
}

#[test]
fn the_burst_is_a_second_of_the_rate_unless_said() {
    let of = |times, said| {
        let limits = Limits { burst: said, ..rate(times, 1, Excess::Refuse) };
        burst(&limits, limits.rate.unwrap())
    };
    assert_eq!((of(100, None), of(1, None), of(100, Some(7))), (100, 1, 7));
}
