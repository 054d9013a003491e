//! The whole matrix, pinned: what each recipe is worth against each hazard. A claim that changes here changes in `docs/lab.md`.

use lock_lab::hazard::HAZARDS;
use lock_lab::matrix::{self, Cell};
use lock_lab::recipe::RECIPES;
use lock_lab::verdict::Verdict;
use quorlock_testkit::Backend;

/// `s` safe, `k` the store was kept, `U` unsafe, `B` blocked, `R` no rest, `#` counted, `-` not applicable; a letter for each recipe, in order.
const CLAIMS: [(&str, &str); 17] = [
    ("crash", "BsBsss-----ss"),
    ("dead-holder", "BBsBsssssssss"),
    ("outlived", "UUUUUUUUUUUss"),
    ("stale-delete", "UUUUUUUUsssss"),
    ("two-cleaners", "----sU-------"),
    ("getset-overwrites", "----U--------"),
    ("given-back", "----sU-------"),
    ("client-clocks", "----UU-------"),
    ("server-clock", "UUUUssUUUUUss"),
    ("server-clocks", "-----------Uk"),
    ("failover", "----------U--"),
    ("restart", "UUUUUUUUUUUss"),
    ("late-write", "UUUUUUUUUUUUk"),
    ("by-hand", "UUUUUUUUUUUUk"),
    ("split-vote", "-----------ss"),
    ("herd", "#############"),
    ("spinning", "--#-R##--#-##"),
];

/// Commands for one change of hands among eight, and of one waiter in a second, where the recipe alone decides them.
const COUNTS: [(&str, [Option<u64>; 11]); 2] = [
    (
        "herd",
        [
            Some(33),
            Some(65),
            Some(19),
            Some(65),
            Some(32),
            Some(32),
            Some(17),
            Some(18),
            Some(17),
            Some(17),
            Some(17),
        ],
    ),
    ("spinning", [None, None, Some(1), None, None, Some(2000), Some(200), None, None, None, None]),
];

fn letter(cell: &Cell) -> char {
    match cell.verdict {
        Verdict::Safe(_) => 's',
        Verdict::StoreKept(_) => 'k',
        Verdict::Unsafe(_) => 'U',
        Verdict::Blocked(_) => 'B',
        Verdict::NoRest(_) => 'R',
        Verdict::Counted(..) => '#',
        Verdict::NotApplicable(_) => '-',
        _ => '?',
    }
}

/// What stands in a row of the claims for these cells.
fn row(cells: &[Cell], hazard: &str) -> String {
    cells.iter().filter(|cell| cell.hazard == hazard).map(letter).collect()
}

/// Without replicas there is no failover.
fn claimed(hazard: &str, letters: &str, backend: Backend) -> String {
    match hazard {
        "failover" if backend == Backend::Embedded => letters.replace('U', "-"),
        _ => letters.to_owned(),
    }
}

fn backend(cells: &[Cell]) -> Backend {
    let crash = cells.iter().find(|cell| cell.hazard == "crash");
    crash.and_then(|cell| cell.backend).expect("it was played")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recipe_breaks_exactly_where_its_hazards_say() {
    let cells = matrix::play_all().await.expect("the stages hold");
    println!("{}", matrix::table(&cells));
    assert_eq!(cells.len(), RECIPES.len() * HAZARDS.len());
    let backend = backend(&cells);
    for (hazard, letters) in CLAIMS {
        assert_eq!(row(&cells, hazard), claimed(hazard, letters, backend), "{hazard}");
    }
    for (hazard, counts) in COUNTS {
        for (about, count) in RECIPES.iter().zip(counts) {
            let found =
                cells.iter().find(|cell| cell.recipe == about.number && cell.hazard == hazard);
            let counted = found.and_then(|cell| match cell.verdict {
                Verdict::Counted(count, _) => Some(count),
                _ => None,
            });
            if count.is_some() {
                assert_eq!(counted, count, "{hazard}, recipe {}", about.number);
            }
        }
    }
    for cell in cells.iter().filter(|cell| cell.verdict.is_bad()) {
        assert!(cell.story.len() > 2, "{}, {}: every break has a story", cell.recipe, cell.hazard);
    }
}

#[test]
fn every_claim_is_about_a_hazard_and_every_recipe() {
    let names: Vec<_> = HAZARDS.iter().map(|hazard| hazard.name()).collect();
    assert_eq!(CLAIMS.map(|(name, _)| name).to_vec(), names);
    for (hazard, letters) in CLAIMS {
        assert_eq!(letters.len(), RECIPES.len(), "{hazard}");
    }
    let numbers: Vec<_> = RECIPES.iter().map(|about| usize::from(about.number)).collect();
    assert_eq!(numbers, (1..=RECIPES.len()).collect::<Vec<_>>());
}

/// The book's tour says what is pinned here.
#[test]
fn the_book_shows_this_matrix() {
    let book = include_str!("../../../docs/lab.md");
    for (hazard, letters) in CLAIMS {
        let row = book.lines().rfind(|line| line.starts_with(&format!("| `{hazard}` |")));
        let row = row.unwrap_or_else(|| panic!("docs/lab.md has no row for {hazard}"));
        let shown: String = row.split('|').skip(2).take(RECIPES.len()).map(shown_as).collect();
        assert_eq!(shown, letters, "{hazard}");
        let counts = COUNTS.iter().find(|(counted, _)| *counted == hazard);
        let cells = row.split('|').skip(2).map(str::trim);
        for (cell, count) in cells.zip(counts.into_iter().flat_map(|(_, counts)| *counts)) {
            assert!(
                count.is_none_or(|count| count.to_string() == cell),
                "{hazard}: {cell}, not {count:?}"
            );
        }
    }
}

#[test]
fn the_book_names_these_recipes_and_hazards() {
    let book = include_str!("../../../docs/lab.md").replace('`', "");
    for about in &RECIPES {
        let row = book.lines().find(|line| line.starts_with(&format!("| {} |", about.number)));
        let row = row.unwrap_or_else(|| panic!("docs/lab.md has no recipe {}", about.number));
        assert!(row.contains(about.title) && row.contains(about.seed), "{row}");
    }
    // The two that count stand in one row.
    for hazard in HAZARDS.iter().filter(|hazard| !["herd", "spinning"].contains(&hazard.name())) {
        let row = format!("| {} | {} |", hazard.name(), hazard.title());
        assert!(book.contains(&row), "docs/lab.md has no row `{row}`");
    }
}

fn shown_as(cell: &str) -> char {
    match cell.trim() {
        "safe" => 's',
        "store kept" => 'k',
        "**unsafe**" => 'U',
        "**blocked**" => 'B',
        "**no rest**" => 'R',
        "" => '-',
        count if count.chars().all(|c| c.is_ascii_digit()) => '#',
        _ => '?',
    }
}
