use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn partner(name: &str) -> PartnerName {
    PartnerName::parse(name).expect("a partner's name")
}

fn candidates<'a>(partners: &'a [PartnerName], speeds: &[u64]) -> Vec<Candidate<'a>> {
    let candidate = |(id, &speed): (u64, &u64)| Candidate {
        member: MemberId(id),
        partner: &partners[id as usize % partners.len()],
        speed,
        load: 0,
    };
    (0..).zip(speeds).map(candidate).collect()
}

fn holders(allocation: &Allocation, units: u32) -> Vec<Option<MemberId>> {
    (0..units).map(|unit| allocation.holder(Unit(unit))).collect()
}

fn moved(before: &Allocation, after: &Allocation, units: u32) -> usize {
    let pairs = holders(before, units).into_iter().zip(holders(after, units));
    pairs.filter(|(before, after)| before != after).count()
}

fn allocated(candidates: &[Candidate<'_>], units: u32, most: u32) -> Allocation {
    let mut allocation = Allocation::new(units);
    allocation.rebalance(candidates, most);
    allocation
}

fn count(allocation: &Allocation, member: u64) -> usize {
    allocation.by_member().get(&MemberId(member)).map_or(0, Units::len)
}

/// The longest time of any way to hand `units` units to `speeds`, by trying all of them.
fn best(units: u32, speeds: &[u64]) -> (u32, u64) {
    match speeds {
        [] => unreachable!("there is a candidate"),
        [speed] => (units, *speed),
        [speed, others @ ..] => {
            let ways = (0..=units).map(|own| {
                let rest = best(units - own, others);
                if compare((own, *speed), rest) == Ordering::Greater { (own, *speed) } else { rest }
            });
            ways.min_by(|left, right| compare(*left, *right)).expect("there is a way")
        }
    }
}

#[test]
fn equal_members_get_equal_shares() {
    let partners = [partner("a")];
    let allocation = allocated(&candidates(&partners, &[5, 5, 5]), 8, 8);
    assert_eq!([0, 1, 2].map(|member| count(&allocation, member)), [3, 3, 2]);
}

#[test]
fn the_fastest_hold_what_does_not_go_round() {
    let partners = [partner("a")];
    let allocation = allocated(&candidates(&partners, &[10, 40, 30, 20]), 2, 2);
    assert_eq!(holders(&allocation, 2), [Some(MemberId(1)), Some(MemberId(2))]);
}

#[test]
fn an_unknown_speed_counts_as_the_mean_of_the_known() {
    let partners = [partner("a")];
    let allocation = allocated(&candidates(&partners, &[30, 0, 10]), 6, 6);
    assert_eq!([0, 1, 2].map(|member| count(&allocation, member)), [3, 2, 1]);
    let nobody_known = allocated(&candidates(&partners, &[0, 0]), 4, 4);
    assert_eq!([0, 1].map(|member| count(&nobody_known, member)), [2, 2]);
}

#[test]
fn what_partners_may_not_hold_stays_free() {
    let partners = [partner("a"), partner("b")];
    let allocation = allocated(&candidates(&partners, &[100, 1, 100]), 8, 3);
    assert_eq!(count(&allocation, 0) + count(&allocation, 2), 3);
    assert_eq!(count(&allocation, 1), 3);
    assert_eq!(holders(&allocation, 8).iter().filter(|holder| holder.is_none()).count(), 2);
}

#[test]
fn noise_moves_nothing_and_a_real_difference_does() {
    let partners = [partner("a")];
    let mut allocation = allocated(&candidates(&partners, &[100, 100]), 8, 8);
    let before = allocation.clone();
    assert!(!allocation.rebalance_if_faster(&candidates(&partners, &[115, 85]), 8));
    assert_eq!(allocation, before);
    assert!(allocation.rebalance_if_faster(&candidates(&partners, &[150, 50]), 8));
    assert_eq!([0, 1].map(|member| count(&allocation, member)), [6, 2]);
    assert_eq!(moved(&before, &allocation, 8), 2);
}

#[test]
fn units_are_handed_out_on_top_of_loads_to_whom_they_suit() {
    let partners = [partner("a"), partner("b")];
    let mut members = candidates(&partners, &[10, 10, 10]);
    members[0].load = 5;
    let units: Units = [1, 2, 3].map(Unit).into();
    let given = hand_out(&units, &members, Taken::new(), 9, |unit, member| unit != Unit(3) || member == MemberId(0));
    let expected = [(0, vec![3]), (1, vec![1]), (2, vec![2])];
    let expected = expected.map(|(member, units)| (MemberId(member), units.into_iter().map(Unit).collect::<Units>()));
    assert_eq!(given, BTreeMap::from(expected));
}

#[test]
fn a_unit_that_the_partner_has_already_takes_no_room() {
    let partners = [partner("a")];
    let members = candidates(&partners, &[10]);
    let taken = Taken::from([(partners[0].clone(), Units::from([Unit(0)]))]);
    let given = hand_out(&[Unit(0), Unit(1)].into(), &members, taken, 1, |_, _| true);
    assert_eq!(given, BTreeMap::from([(MemberId(0), Units::from([Unit(0)]))]));
}

proptest! {
    #[test]
    fn every_unit_has_one_holder_and_the_slowest_finishes_as_early_as_possible(
        units in 1u32..9, speeds in prop::collection::vec(1u64..50, 1..4)
    ) {
        let partners = [partner("a")];
        let members = candidates(&partners, &speeds);
        let allocation = allocated(&members, units, units);
        let held = allocation.by_member();
        let all: Vec<Unit> = held.values().flatten().copied().collect();
        prop_assert_eq!(all.len(), units as usize);
        prop_assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), units as usize);
        let speed_of = members.iter().map(|c| (c.member, c.speed)).collect();
        prop_assert_eq!(compare(slowest(&allocation.counts(), &speed_of), best(units, &speeds)), Ordering::Equal);
    }

    #[test]
    fn nobody_gets_less_than_its_share_rounded_down(
        units in 1u32..200, speeds in prop::collection::vec(1u64..10_000, 1..20)
    ) {
        let partners = [partner("a")];
        let allocation = allocated(&candidates(&partners, &speeds), units, units);
        let sum: u64 = speeds.iter().sum();
        for (member, speed) in (0..).zip(&speeds) {
            prop_assert!(count(&allocation, member) as u64 >= u64::from(units) * speed / sum);
        }
    }

    #[test]
    fn a_newcomer_moves_only_what_it_gets_and_a_leaver_only_what_it_had(
        units in 1u32..100, speeds in prop::collection::vec(1u64..1_000, 2..12), who in any::<prop::sample::Index>()
    ) {
        let partners = [partner("a")];
        let all = candidates(&partners, &speeds);
        let who = all[who.index(all.len())];
        let others: Vec<_> = all.iter().copied().filter(|c| c.member != who.member).collect();

        let without = allocated(&others, units, units);
        let mut with = without.clone();
        with.rebalance(&all, units);
        prop_assert_eq!(moved(&without, &with, units), count(&with, who.member.0));

        let mut left = with.clone();
        left.release(who.member);
        left.rebalance(&others, units);
        prop_assert_eq!(moved(&with, &left, units), count(&with, who.member.0));
    }

    #[test]
    fn it_is_the_same_every_time_and_stays_as_it_is(
        units in 1u32..100, speeds in prop::collection::vec(0u64..1_000, 1..12), most in 1u32..100
    ) {
        let partners = ["a", "b", "c"].map(partner);
        let members = candidates(&partners, &speeds);
        let allocation = allocated(&members, units, most);
        prop_assert_eq!(&allocation, &allocated(&members, units, most));
        let mut again = allocation.clone();
        again.rebalance(&members, most);
        prop_assert_eq!(&again, &allocation);
        for of in &partners {
            let own = members.iter().filter(|c| c.partner == of).map(|c| count(&allocation, c.member.0)).sum::<usize>();
            prop_assert!(own <= most as usize);
        }
    }
}
