//! Random writers, rotations, kills and reports, by seed: every line is there, under one id, with one content.

use super::*;

fn run(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut rig = Rig::with(|c| {
        c.inputs[0].max_line_bytes = 40;
        c.inputs[0].flush_unterminated = Duration::from_secs(2);
    });
    rig.acknowledge = false;
    rig.step();
    let mut written: Vec<String> = Vec::new();
    let mut half: [Option<String>; 3] = [None, None, None];
    for step in 0..300 {
        let file = rng.usize(0..3);
        let name = format!("{file}.log");
        match rng.u32(0..100) {
            // Lines, the last maybe half, to be ended later.
            0..40 => {
                if let Some(rest) = half[file].take() {
                    rig.append(&name, rest);
                }
                for n in 0..rng.usize(0..5) {
                    let line = format!(
                        "{seed}.{step}.{file}.{n}{}",
                        if rng.u8(0..9) == 0 { "x".repeat(60) } else { String::new() }
                    );
                    rig.append(&name, format!("{line}{}", if rng.bool() { "\n" } else { "\r\n" }));
                    written.push(line);
                }
                if rng.u8(0..4) == 0 {
                    let line = format!("{seed}.{step}.{file}.half");
                    let cut = rng.usize(1..line.len());
                    rig.append(&name, &line[..cut]);
                    half[file] = Some(format!("{}\n", &line[cut..]));
                    written.push(line);
                }
            }
            40..48 if half[file].is_none() && rig.path(&name).exists() => {
                for old in (1..4).rev() {
                    let from = format!("{file}.log.{old}");
                    if rig.path(&from).exists() {
                        rig.rename(&from, &format!("{file}.log.{}", old + 1));
                    }
                }
                // What a fifth rotation would overwrite must have been read: wait for it.
                if rig.path(&format!("{file}.log.4")).exists() {
                    rig.settle();
                    rig.topic.report_all(Outcome::Acknowledged);
                    rig.steps(40);
                }
                rig.rename(&name, &format!("{file}.log.1"));
            }
            48..52 => rig.kill(),
            52..54 => rig.topic.0.borrow_mut().broken = true,
            54..60 => rig.pass(Duration::from_millis(rng.u64(0..3000))),
            60..75 => {
                for _ in 0..rng.usize(0..20) {
                    let under_way = rig.topic.under_way();
                    if under_way > 0 {
                        let outcome = if rng.u8(0..12) == 0 { Outcome::Failed } else { Outcome::Acknowledged };
                        rig.topic.report(rng.usize(0..under_way), outcome);
                    }
                }
            }
            _ => rig.steps(rng.usize(1..30)),
        }
    }
    for (file, rest) in half.into_iter().enumerate() {
        if let Some(rest) = rest {
            rig.append(&format!("{file}.log"), rest);
        }
    }
    rig.acknowledge = true;
    for _ in 0..4 {
        rig.settle();
        rig.pass(Duration::from_secs(31));
    }
    rig.settle();
    // A half line may have become a record by time, its rest another one: joined they are the line.
    let sent = rig.distinct();
    let text = sent.join("\n");
    for line in &written {
        let kept = &line[..line.len().min(40)];
        let whole = sent.iter().filter(|m| *m == kept).count();
        let in_parts = line.ends_with("half")
            && (1..line.len()).any(|cut| text.contains(&line[..cut]) && text.contains(&line[cut..]));
        assert!(whole == 1 || whole == 0 && in_parts, "seed {seed}: {line} is there {whole} times");
    }
    let (read, ledger) = rig.ledger();
    assert_eq!(read, ledger.finished(), "seed {seed}: the ledger adds up");
}

#[test]
fn every_line_once_whatever_happens() {
    (0..12).for_each(run);
}
