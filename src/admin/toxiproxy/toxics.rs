//! Toxics of a proxy: faults of its route, seen through Toxiproxy's words.
//!
//! A fault both ways is two toxics here, and becomes two faults as soon as one of them is changed or taken away. What is
//! no toxic is not shown, but its name is taken all the same.

use serde::Serialize;
use serde_json::Value;

use super::go_json::Object;
use super::refusal::Refusal;
use super::toxic::{self, Attributes, Toxic};
use crate::config::MAX_FAULTS;
use crate::fault::{Directions, Fault, Trigger};
use crate::observe::Direction;
use crate::spec::{Name, Probability};

/// A toxic as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct ToxicView {
    attributes: Attributes,
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    stream: &'static str,
    toxicity: Value,
}

/// A fault in one direction that Toxiproxy has a word for.
#[derive(Debug)]
struct Part<'a> {
    fault: &'a Fault,
    /// Its place among the faults of the route.
    place: usize,
    toxic: Toxic,
    direction: Direction,
    name: String,
}

/// What is asked for when a toxic is made.
#[derive(Debug)]
pub(super) struct NewToxic {
    name: Name,
    toxic: Toxic,
    direction: Direction,
    toxicity: Option<Probability>,
    attributes: Object,
}

/// What is asked for when a toxic is changed.
#[derive(Debug)]
pub(super) struct ToxicChange {
    toxicity: Option<Probability>,
    attributes: Object,
}

impl From<&Part<'_>> for ToxicView {
    fn from(part: &Part<'_>) -> ToxicView {
        let trigger = &part.fault.trigger;
        ToxicView {
            attributes: toxic::attributes(&part.fault.effect),
            name: part.name.clone(),
            kind: part.toxic.word(),
            stream: part.direction.word(),
            // One that is turned off befalls nobody.
            toxicity: if trigger.enabled { toxic::share(trigger.probability) } else { 0.into() },
        }
    }
}

impl NewToxic {
    /// Reads what is asked for.
    pub(super) fn read(body: &Object) -> Result<NewToxic, Refusal> {
        let (stream, kind) = (body.text("stream")?, body.text("type")?.unwrap_or_default());
        let (name, toxicity) = (body.text("name")?.unwrap_or_default(), body.number("toxicity")?);
        let attributes = body.object("attributes")?;
        let stream = stream.unwrap_or_else(|| Direction::Downstream.word().to_owned());
        let direction = Direction::ALL.into_iter().find(|way| way.word().eq_ignore_ascii_case(&stream));
        let bad = |message: &str| Refusal::new(hyper::StatusCode::BAD_REQUEST, message);
        let direction =
            direction.ok_or_else(|| bad("stream was invalid, can be either upstream or downstream"))?;
        let toxic = Toxic::named(&kind).ok_or_else(|| bad("invalid toxic type"))?;
        let name = if name.is_empty() { format!("{kind}_{}", direction.word()) } else { name };
        Ok(NewToxic {
            name: read_name(&name)?,
            toxic,
            direction,
            toxicity: read_toxicity(toxicity)?,
            attributes,
        })
    }

    /// Puts it behind the faults of a route.
    pub(super) fn add_to(&self, faults: &mut Vec<Fault>) -> Result<ToxicView, Refusal> {
        let taken = faults.iter().any(|fault| *fault.name == *self.name)
            || parts(faults).iter().any(|part| *part.name == *self.name);
        if taken {
            return Err(Refusal::toxic_exists());
        }
        let effect = self.toxic.effect(&self.attributes)?;
        if faults.len() >= MAX_FAULTS {
            return Err(Refusal::bad_body(format_args!("a proxy has at most {MAX_FAULTS} toxics")));
        }
        let trigger =
            Trigger { probability: self.toxicity.unwrap_or(Probability::ALWAYS), ..Trigger::default() };
        let direction = directions(self.direction);
        faults.push(Fault { name: self.name.shared(), direction, trigger, effect });
        show(faults, &self.name)
    }
}

impl ToxicChange {
    /// Reads what is asked for.
    pub(super) fn read(body: &Object) -> Result<ToxicChange, Refusal> {
        let (toxicity, attributes) = (body.number("toxicity")?, body.object("attributes")?);
        Ok(ToxicChange { toxicity: read_toxicity(toxicity)?, attributes })
    }

    /// Changes a toxic of a route: whole, or not at all.
    pub(super) fn apply_to(&self, faults: &mut Vec<Fault>, name: &str) -> Result<ToxicView, Refusal> {
        let part = find(faults, name)?;
        let effect = toxic::laid_over(part.fault.effect.clone(), &self.attributes)?;
        let shown = ToxicView::from(&part).toxicity;
        let trigger = match self.toxicity {
            // What is only said back, rounded or turned off as it is shown, changes nothing.
            Some(probability) if toxic::share(probability) != shown => {
                Trigger { probability, enabled: true, ..part.fault.trigger.clone() }
            }
            _ => part.fault.trigger.clone(),
        };
        if (&effect, &trigger) != (&part.fault.effect, &part.fault.trigger) {
            if part.fault.direction == Directions::Both && faults.len() >= MAX_FAULTS {
                return Err(Refusal::bad_body(format_args!(
                    "it acts both ways, and there is no room to split it: a proxy has at most {MAX_FAULTS} toxics"
                )));
            }
            let fault = alone(faults, name)?;
            (fault.effect, fault.trigger) = (effect, trigger);
        }
        show(faults, name)
    }
}

/// All toxics of a route: those upstream first, each way in the order of its faults.
pub(super) fn list(faults: &[Fault]) -> Vec<ToxicView> {
    parts(faults).iter().map(ToxicView::from).collect()
}

/// A toxic of a route.
pub(super) fn show(faults: &[Fault], name: &str) -> Result<ToxicView, Refusal> {
    find(faults, name).map(|part| ToxicView::from(&part))
}

/// Takes a toxic of a route away.
pub(super) fn remove(faults: &mut Vec<Fault>, name: &str) -> Result<(), Refusal> {
    let gone = alone(faults, name)?.name.clone();
    faults.retain(|fault| fault.name != gone);
    Ok(())
}

fn parts(faults: &[Fault]) -> Vec<Part<'_>> {
    let of = |direction: Direction| {
        let known = faults.iter().enumerate().filter_map(move |(place, fault)| {
            Some((place, fault, Toxic::of(&fault.effect).filter(|_| fault.direction.include(direction))?))
        });
        known.map(move |(place, fault, toxic)| {
            let name = part_name(faults, fault, direction);
            Part { fault, place, toxic, direction, name }
        })
    };
    Direction::ALL.into_iter().flat_map(of).collect()
}

fn find<'a>(faults: &'a [Fault], name: &str) -> Result<Part<'a>, Refusal> {
    parts(faults).into_iter().find(|part| part.name == name).ok_or_else(Refusal::no_toxic)
}

/// The fault that is this toxic and nothing else. One both ways becomes two, in the place of the one.
fn alone<'a>(faults: &'a mut Vec<Fault>, name: &str) -> Result<&'a mut Fault, Refusal> {
    let part = find(faults, name)?;
    let place = part.place;
    if part.fault.direction == Directions::Both {
        let half = |direction| Fault {
            name: part_name(faults, part.fault, direction).into(),
            direction: directions(direction),
            ..part.fault.clone()
        };
        let halves = Direction::ALL.map(half);
        faults.splice(place..=place, halves);
    }
    faults.iter_mut().find(|fault| *fault.name == *name).ok_or_else(Refusal::no_toxic)
}

/// What a fault is called in one direction: by its name, or, where it acts both ways, by a name that no other has.
fn part_name(faults: &[Fault], fault: &Fault, direction: Direction) -> String {
    if fault.direction != Directions::Both {
        return fault.name.to_string();
    }
    let with = |suffix: String| {
        let room = Name::LONGEST.saturating_sub(suffix.chars().count());
        fault.name.chars().take(room).chain(suffix.chars()).collect::<String>()
    };
    let first = with(format!("_{}", direction.word()));
    let more = (2..).map(|n| with(format!("_{}_{n}", direction.word())));
    let free = |name: &String| faults.iter().all(|other| *other.name != **name);
    std::iter::once(first.clone()).chain(more).find(free).unwrap_or(first)
}

fn directions(direction: Direction) -> Directions {
    match direction {
        Direction::Upstream => Directions::Upstream,
        Direction::Downstream => Directions::Downstream,
    }
}

/// The name of a proxy or a toxic.
pub(super) fn read_name(text: &str) -> Result<Name, Refusal> {
    let refused = |why: crate::spec::name::NameError| {
        Refusal::bad_body(format_args!("the name {}", why.to_string().replace('\n', ": ")))
    };
    text.parse().map_err(refused)
}

fn read_toxicity(number: Option<f64>) -> Result<Option<Probability>, Refusal> {
    let read =
        |number| Probability::new(number).ok_or_else(|| Refusal::bad_body("`toxicity` is not within 0..1"));
    number.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    fn object(value: Value) -> Object {
        Object::of(value, "body").unwrap()
    }

    fn fault(item: Value) -> Fault {
        let route = json!({"name": "it", "localPort": "auto", "upstream": "builtin:echo", "faults": [item]});
        let config = Config::from_text(&json!({"routes": [route]}).to_string()).unwrap();
        config.routes[0].faults[0].clone()
    }

    fn add(faults: &mut Vec<Fault>, body: Value) -> Result<Value, String> {
        let made = NewToxic::read(&object(body)).and_then(|new| new.add_to(faults));
        made.map(|view| serde_json::to_value(view).unwrap()).map_err(|refusal| refusal.message().to_owned())
    }

    fn names(faults: &[Fault]) -> Vec<String> {
        list(faults).into_iter().map(|view| view.name).collect()
    }

    #[test]
    fn a_toxic_is_named_after_itself_and_goes_downstream_unless_it_says_otherwise() {
        let mut faults = Vec::new();
        let made = add(&mut faults, json!({"type": "latency", "attributes": {"latency": 5}})).unwrap();
        let shown = json!({"attributes": {"latency": 5, "jitter": 0}, "name": "latency_downstream", "type": "latency", "stream": "downstream", "toxicity": 1});
        assert_eq!(made, shown);
        let made =
            add(&mut faults, json!({"type": "latency", "stream": "UpStream", "toxicity": 0.25})).unwrap();
        assert_eq!(
            (&made["name"], &made["stream"], &made["toxicity"]),
            (&json!("latency_upstream"), &json!("upstream"), &json!(0.25))
        );
        assert_eq!(names(&faults), ["latency_upstream", "latency_downstream"], "upstream first");
        assert_eq!(*faults[0].name, *"latency_downstream", "and each behind those before it");
    }

    #[test]
    fn what_is_wrong_is_told_in_toxiproxys_order_and_words() {
        let mut faults = vec![fault(json!({"drop": {"name": "hidden"}}))];
        for (body, words) in [
            (
                json!({"stream": "sideways", "type": "nope"}),
                "stream was invalid, can be either upstream or downstream",
            ),
            (
                json!({"stream": "", "type": "latency"}),
                "stream was invalid, can be either upstream or downstream",
            ),
            (json!({"type": "nope", "name": "hidden"}), "invalid toxic type"),
            (json!({"type": "Latency"}), "invalid toxic type"),
            (json!({}), "invalid toxic type"),
            (
                json!({"type": "latency", "name": "hidden", "attributes": {"latency": "x"}}),
                "toxic already exists",
            ),
            (
                json!({"type": "latency", "attributes": []}),
                "bad request body: `attributes` must be an object and is a list",
            ),
            (json!({"type": "latency", "toxicity": 7.5}), "bad request body: `toxicity` is not within 0..1"),
            (
                json!({"type": "latency", "toxicity": "1"}),
                "bad request body: `toxicity` must be a number and is a text",
            ),
            (
                json!({"type": "latency", "name": "a\u{1b}b"}),
                "bad request body: the name holds a control or invisible character: a name is made of characters that can be seen",
            ),
        ] {
            assert_eq!(add(&mut faults, body.clone()), Err(words.to_owned()), "{body}");
        }
        assert_eq!(
            (faults.len(), names(&faults)),
            (1, Vec::<String>::new()),
            "a fault without a word is not shown"
        );
    }

    #[test]
    fn a_fault_both_ways_is_two_toxics_and_is_split_when_one_is_changed() {
        let both =
            json!({"latency": {"delay": "20ms", "direction": "both", "probability": 0.5, "name": "slow"}});
        let other = json!({"noop": {"name": "slow_downstream", "direction": "upstream"}});
        let mut faults = vec![fault(json!("noop")), fault(both), fault(other)];
        let shown = ["slow_upstream", "slow_downstream", "noop", "slow_downstream_2"];
        assert_eq!(names(&faults), shown);
        let nothing = ToxicChange::read(&object(json!({}))).unwrap();
        nothing.apply_to(&mut faults, "slow_upstream").unwrap();
        assert_eq!(faults.len(), 3, "a change of nothing splits nothing");

        let change = ToxicChange::read(&object(json!({"attributes": {"latency": 30}}))).unwrap();
        let changed =
            serde_json::to_value(change.apply_to(&mut faults, "slow_downstream_2").unwrap()).unwrap();
        assert_eq!((&changed["attributes"]["latency"], &changed["toxicity"]), (&json!(30), &json!(0.5)));
        assert_eq!(names(&faults), shown, "all of them are called as they were");
        assert_eq!(
            toxic::attributes(&faults[1].effect),
            toxic::attributes(&fault(json!({"latency": {"delay": "20ms"}})).effect)
        );
        assert!(faults.iter().all(|fault| fault.direction != Directions::Both));

        remove(&mut faults, "slow_upstream").unwrap();
        assert_eq!(names(&faults), ["slow_downstream", "noop", "slow_downstream_2"]);
        assert_eq!(remove(&mut faults, "slow_upstream"), Err(Refusal::no_toxic()));
    }

    #[test]
    fn the_longest_name_can_be_split() {
        let name = "ü".repeat(128);
        let faults = vec![fault(json!({"noop": {"name": name, "direction": "both"}}))];
        for name in names(&faults) {
            assert_eq!(name.chars().count(), 128);
            assert!(read_name(&name).is_ok());
        }
    }

    #[test]
    fn a_change_is_whole_or_not_at_all() {
        let mut faults = Vec::new();
        add(&mut faults, json!({"type": "latency", "name": "it", "attributes": {"latency": 5, "jitter": 2}}))
            .unwrap();
        let before = faults.clone();
        for body in [
            json!({"attributes": {"latency": 9, "jitter": "x"}}),
            json!({"attributes": {"latency": -9}, "toxicity": 0.5}),
        ] {
            let change = ToxicChange::read(&object(body)).unwrap();
            assert!(change.apply_to(&mut faults, "it").is_err());
        }
        assert!(ToxicChange::read(&object(json!({"attributes": {"latency": 9}, "toxicity": 3}))).is_err());
        assert_eq!(faults, before);
        let change = ToxicChange::read(&object(json!({"toxicity": 0.25}))).unwrap();
        change.apply_to(&mut faults, "it").unwrap();
        assert_eq!((faults[0].trigger.probability.get(), &faults[0].effect), (0.25, &before[0].effect));
    }

    #[test]
    fn one_that_is_turned_off_befalls_nobody_until_it_is_given_a_toxicity() {
        let mut faults = vec![fault(json!({"latency": {"delay": "1s", "enabled": false}}))];
        let toxicity = |faults: &[Fault]| list(faults).pop().unwrap().toxicity;
        assert_eq!(toxicity(&faults), json!(0));
        ToxicChange::read(&object(json!({"toxicity": 1}))).unwrap().apply_to(&mut faults, "latency").unwrap();
        assert_eq!((toxicity(&faults), faults[0].trigger.enabled), (json!(1), true));
    }
}
