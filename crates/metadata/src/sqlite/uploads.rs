//! Uploads.

use async_trait::async_trait;
use cairn_core::ids::AccountId;
use cairn_core::node::{Content, NodeKind};
use cairn_core::time::Timestamp;

use super::SqliteMetadata;
use super::decode::Columns;
use super::error::corrupt;
use super::statement::{Session, query};
use super::writer::Write;
use crate::codec::{decode_content, encode_content};
use crate::{PieceOutcome, Result, UPLOADS_PER_ACCOUNT, Upload, UploadId, UploadPiece, UploadStore};

#[async_trait]
impl UploadStore for SqliteMetadata {
    async fn begin_upload(&self, upload: &Upload, now: Timestamp) -> Result<bool> {
        let upload = upload.clone();
        self.write(Begin { upload, now }).await
    }

    async fn upload(&self, account: AccountId, id: UploadId) -> Result<Option<Upload>> {
        find(&mut self.reader().await?.session(), account, id).await
    }

    async fn add_piece(
        &self,
        account: AccountId,
        id: UploadId,
        piece: &UploadPiece,
        closes: bool,
    ) -> Result<PieceOutcome> {
        let piece = piece.clone();
        self.write(AddPiece {
            account,
            id,
            piece,
            closes,
        })
        .await
    }

    async fn pieces(
        &self,
        account: AccountId,
        id: UploadId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<UploadPiece>> {
        let statement = query(
            "SELECT start, size, content FROM upload_piece WHERE account_id = $1 AND upload_id = $2 AND start >= $3
             ORDER BY start LIMIT $4",
        )
        .bind(account.get())
        .bind(id.0.to_vec())
        .bind(number(from))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.reader().await?.session().all(statement).await?;
        let piece = |row| {
            let mut columns = Columns::of(row);
            let start = bytes_of(columns.i64()?);
            let size = columns.i64()?;
            match decode_content(NodeKind::File, size, columns.bytes()?)? {
                Content::File(content) => Ok(UploadPiece { start, content }),
                _ => Err(corrupt("a piece of an upload is no content")),
            }
        };
        rows.iter().map(piece).collect()
    }

    async fn end_upload(&self, account: AccountId, id: UploadId) -> Result<bool> {
        self.write(End { account, id }).await
    }
}

fn number(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn bytes_of(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

async fn find(session: &mut Session<'_>, account: AccountId, id: UploadId) -> Result<Option<Upload>> {
    let statement = query(
        "SELECT concurrent, size, total, expires_at FROM upload WHERE account_id = $1 AND upload_id = $2",
    )
    .bind(account.get())
    .bind(id.0.to_vec());
    let Some(row) = session.optional(statement).await? else {
        return Ok(None);
    };
    let mut columns = Columns::of(&row);
    Ok(Some(Upload {
        account,
        id,
        concurrent: columns.get()?,
        size: bytes_of(columns.i64()?),
        total: columns.optional()?.map(bytes_of),
        expires_at: columns.timestamp()?,
    }))
}

struct Begin {
    upload: Upload,
    now: Timestamp,
}

#[async_trait]
impl Write for Begin {
    type Output = bool;

    async fn run(&self, session: &mut Session<'_>) -> Result<bool> {
        let upload = &self.upload;
        let alive = forget_expired(session, upload.account, self.now).await?;
        if alive >= UPLOADS_PER_ACCOUNT {
            return Ok(false);
        }
        let insert = query(
            "INSERT INTO upload (account_id, upload_id, concurrent, size, total, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(upload.account.get())
        .bind(upload.id.0.to_vec())
        .bind(upload.concurrent)
        .bind(number(upload.size))
        .bind(upload.total.map(number))
        .bind(upload.expires_at.as_millis());
        session.execute(insert).await?;
        Ok(true)
    }
}

struct AddPiece {
    account: AccountId,
    id: UploadId,
    piece: UploadPiece,
    closes: bool,
}

#[async_trait]
impl Write for AddPiece {
    type Output = PieceOutcome;

    async fn run(&self, session: &mut Session<'_>) -> Result<PieceOutcome> {
        let Some(upload) = find(session, self.account, self.id).await? else {
            return Ok(PieceOutcome::Unknown);
        };
        if let Some(refusal) = upload.refuses(&self.piece) {
            return Ok(refusal);
        }
        let (start, size) = (self.piece.start, self.piece.content.size);
        let mut replaced = 0;
        if size > 0 {
            let earlier = query(
                "SELECT size FROM upload_piece WHERE account_id = $1 AND upload_id = $2 AND start = $3",
            )
            .bind(self.account.get())
            .bind(self.id.0.to_vec())
            .bind(number(start));
            if let Some(row) = session.optional(earlier).await? {
                replaced = bytes_of(Columns::of(&row).i64()?);
            }
            let content = encode_content(&Content::File(self.piece.content.clone()));
            let upsert = query(
                "INSERT INTO upload_piece (account_id, upload_id, start, size, content)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (account_id, upload_id, start) DO UPDATE SET
                     size = excluded.size, content = excluded.content",
            )
            .bind(self.account.get())
            .bind(self.id.0.to_vec())
            .bind(number(start))
            .bind(number(size))
            .bind(content);
            session.execute(upsert).await?;
        }
        let total = if self.closes {
            Some(start + size)
        } else {
            upload.total
        };
        let update =
            query("UPDATE upload SET size = $3, total = $4 WHERE account_id = $1 AND upload_id = $2")
                .bind(self.account.get())
                .bind(self.id.0.to_vec())
                .bind(number(upload.size + size - replaced))
                .bind(total.map(number));
        session.execute(update).await?;
        Ok(PieceOutcome::Added)
    }
}

struct End {
    account: AccountId,
    id: UploadId,
}

#[async_trait]
impl Write for End {
    type Output = bool;

    async fn run(&self, session: &mut Session<'_>) -> Result<bool> {
        forget(session, self.account, self.id).await
    }
}

async fn forget(session: &mut Session<'_>, account: AccountId, id: UploadId) -> Result<bool> {
    let pieces = query("DELETE FROM upload_piece WHERE account_id = $1 AND upload_id = $2")
        .bind(account.get())
        .bind(id.0.to_vec());
    session.execute(pieces).await?;
    let upload = query("DELETE FROM upload WHERE account_id = $1 AND upload_id = $2")
        .bind(account.get())
        .bind(id.0.to_vec());
    Ok(session.execute(upload).await? > 0)
}

/// Forgets the uploads of an account that expired before `now`; how many are left.
pub(super) async fn forget_expired(
    session: &mut Session<'_>,
    account: AccountId,
    now: Timestamp,
) -> Result<usize> {
    let statement = query("SELECT upload_id FROM upload WHERE account_id = $1 AND expires_at < $2")
        .bind(account.get())
        .bind(now.as_millis());
    for row in session.all(statement).await? {
        let id = Columns::of(&row).bytes()?;
        let id = id
            .try_into()
            .map(UploadId)
            .map_err(|_| corrupt("an upload's id has the wrong length"))?;
        forget(session, account, id).await?;
    }
    let statement = query("SELECT COUNT(*) FROM upload WHERE account_id = $1").bind(account.get());
    let alive = match session.optional(statement).await? {
        Some(row) => Columns::of(&row).i64()?,
        None => 0,
    };
    Ok(usize::try_from(alive).unwrap_or(usize::MAX))
}
