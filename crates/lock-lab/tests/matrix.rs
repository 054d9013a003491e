//! The whole matrix, pinned: what each recipe is worth against each hazard.

use lock_lab::matrix;

#[tokio::test]
async fn every_recipe_breaks_where_its_hazards_say() {
    let cells = matrix::play_all().await.expect("the stages hold");
    println!("{}", matrix::table(&cells));
}
