//! Generations whose retention has ended, with real files, sealed prompts and a data key for each day.

use std::path::{Path, PathBuf};

use agentframer::domain::ids::{GenerationId, Id, RequestId};
use agentframer::domain::money::Usd;
use agentframer::domain::time::{DAY, Time};
use agentframer::engine::Engine;
use agentframer::engine::access::bootstrap::Bootstrapped;
use agentframer::engine::calls::media::all_keys;
use agentframer::engine::clock::Clock;
use agentframer::engine::store::data_keys::{self, WrappedKey};
use agentframer::engine::store::generations::{self, NewGeneration, SealedPrompt};
use agentframer::engine::store::{CellDb, Db};

use super::common::place::Place;

const BATCH: i64 = 2_000;
/// Over how many days they were made, as folders by day see it.
const DAYS: i64 = 90;
/// A prompt of a few sentences, sealed.
const PROMPT_BYTES: usize = 300;

/// As many generations, each with a picture and a thumbnail.
pub async fn fill(place: &Place, engine: &Engine, made: &Bootstrapped, generations: i64) {
    let db = Db::open_unsynced(&place.config().cell_url(&place.config().cells[0])).await.unwrap();
    let db = CellDb::over(db).await.unwrap();
    let media = media_folder(place);
    let end = Clock::System.now().plus(-DAY);
    data_keys::insert(&db, (0..DAYS).map(|day| key(made, end, day)).collect()).await.unwrap();
    for first in (0..generations).step_by(BATCH as usize) {
        let rows: Vec<_> = (first..(first + BATCH).min(generations))
            .map(|n| row(made, engine, n, end.plus(-(DAYS * DAY / generations * n))))
            .collect();
        rows.iter().flat_map(|row| all_keys(&row.object_key, 1)).for_each(|key| write(&media, &key));
        let mut transaction = db.begin().await.unwrap();
        let prompts = rows.iter().map(|row| prompt(row, end)).collect();
        generations::insert(&mut transaction, rows).await.unwrap();
        generations::insert_prompts(&mut transaction, db.dialect, prompts).await.unwrap();
        transaction.commit().await.unwrap();
    }
    db.close().await;
}

fn key(made: &Bootstrapped, end: Time, day: i64) -> WrappedKey {
    WrappedKey {
        id: format!("dk_{day}"),
        workspace_id: made.workspace_id.to_string(),
        scope: format!("past:{day}"),
        wrapped: vec![7; 60],
        wrapped_by: String::new(),
        created_at: end.plus(-(30 + day) * DAY),
    }
}

fn prompt(of: &NewGeneration, end: Time) -> SealedPrompt {
    let day = ((end.micros() - of.expires_at.micros()) / DAY).min(DAYS - 1);
    SealedPrompt {
        request_id: of.request_id.clone(),
        workspace_id: of.workspace_id.clone(),
        key_id: format!("dk_{day}"),
        sealed: vec![9; PROMPT_BYTES],
        created_at: of.created_at,
        expires_at: of.expires_at,
    }
}

fn media_folder(place: &Place) -> PathBuf {
    place.folder.path().join("media").join("eu")
}

fn write(media: &Path, key: &str) {
    let file = media.join(key);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, b"a picture").unwrap();
}

fn row(made: &Bootstrapped, engine: &Engine, n: i64, expired_at: Time) -> NewGeneration {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&n.to_be_bytes());
    let created_at = expired_at.plus(-30 * DAY);
    let id = GenerationId::new(created_at.millis(), random);
    let day = created_at.date().strftime("%Y/%m/%d");
    NewGeneration {
        object_key: format!("{}/{day}/{id}.png", made.workspace_id),
        id,
        workspace_id: made.workspace_id.clone(),
        request_id: RequestId::new(created_at.millis(), random),
        user_id: "agent.growth-bot".into(),
        tool: "generate_image".into(),
        model: engine.catalog().models()[0].id.clone(),
        cost: Usd::ZERO,
        files: 1,
        content_type: "image/png".into(),
        bytes: 9,
        width: 512,
        height: 512,
        duration_s: None,
        late: false,
        created_at,
        expires_at: expired_at,
        deleted_at: None,
    }
}
