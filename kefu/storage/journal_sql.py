"""The journal's statements.

WRITE is one statement and so one transaction: it locks the claimed slots whose epoch is right
against a new owner (FOR SHARE), and every insert joins those, so that a stale owner's rows are left
out. It returns the claims that hold; with $61 they must all hold, or nothing is written. A claim
(cluster/store.py) waits for writes in flight and is made before the new owner reads a chat's head:
the other order lets an old write slip in behind the read.
"""

from typing import Final

WRITE: Final = """
WITH found AS MATERIALIZED (
    SELECT owner.slot, owner.epoch
    FROM slot_owner AS owner
    JOIN unnest($1::int[], $2::bigint[]) AS claim (slot, epoch)
      ON owner.slot = claim.slot AND owner.epoch = claim.epoch
    ORDER BY owner.slot
    FOR SHARE OF owner
),
held AS MATERIALIZED (
    SELECT slot, epoch FROM found
    WHERE NOT $61::bool OR (SELECT count(*) FROM found) = cardinality($1::int[])
),
chat AS (
    INSERT INTO chats (
        id, customer_id, slot, epoch, status, agent_id, agent_name, agent_avatar, began_with_bot,
        topic, order_id, reason, log_head, customer_read_seq, agent_read_seq, started_at,
        waiting_since, taken_at, ended_at, rating, feedback, team_id, answered_seq, bot_failures,
        after_hours_at, contact_email
    )
    SELECT
        r.id, r.customer_id, r.slot, held.epoch, r.status, r.agent_id, r.agent_name,
        r.agent_avatar, r.began_with_bot, r.topic, r.order_id, r.reason, r.log_head,
        r.customer_read_seq, r.agent_read_seq, r.started_at, r.waiting_since, r.taken_at,
        r.ended_at, r.rating, r.feedback, r.team_id, r.answered_seq, r.bot_failures,
        r.after_hours_at, r.contact_email
    FROM unnest(
        $3::int[], $4::uuid[], $5::uuid[], $6::text[], $7::uuid[], $8::text[], $9::text[],
        $10::bool[], $11::text[], $12::uuid[], $13::text[], $14::bigint[], $15::bigint[],
        $16::bigint[], $17::timestamptz[], $18::timestamptz[], $19::timestamptz[],
        $20::timestamptz[], $21::int[], $22::text[], $23::uuid[], $24::bigint[], $25::int[],
        $26::timestamptz[], $27::text[]
    ) AS r (
        slot, id, customer_id, status, agent_id, agent_name, agent_avatar, began_with_bot, topic,
        order_id, reason, log_head, customer_read_seq, agent_read_seq, started_at, waiting_since,
        taken_at, ended_at, rating, feedback, team_id, answered_seq, bot_failures,
        after_hours_at, contact_email
    )
    JOIN held USING (slot)
    ORDER BY r.ended_at NULLS LAST
    ON CONFLICT (id) DO UPDATE SET
        epoch = excluded.epoch, status = excluded.status, agent_id = excluded.agent_id,
        agent_name = excluded.agent_name, agent_avatar = excluded.agent_avatar,
        reason = excluded.reason, log_head = excluded.log_head,
        customer_read_seq = greatest(chats.customer_read_seq, excluded.customer_read_seq),
        agent_read_seq = greatest(chats.agent_read_seq, excluded.agent_read_seq),
        waiting_since = excluded.waiting_since, taken_at = excluded.taken_at,
        ended_at = excluded.ended_at, rating = excluded.rating, feedback = excluded.feedback,
        team_id = excluded.team_id, answered_seq = excluded.answered_seq,
        bot_failures = excluded.bot_failures, after_hours_at = excluded.after_hours_at,
        contact_email = excluded.contact_email
    -- a commit given up for lost may come through late: it must not undo a newer one
    WHERE chats.log_head <= excluded.log_head
),
message AS (
    INSERT INTO chat_messages (
        chat_id, seq, message_id, sender_type, sender_id, sender_name, content, message_type,
        client_message_id, created_at, epoch
    )
    SELECT
        r.chat_id, r.seq, r.message_id, r.sender_type, r.sender_id, r.sender_name, r.content,
        r.message_type, r.client_message_id, r.created_at, held.epoch
    FROM unnest(
        $28::int[], $29::uuid[], $30::bigint[], $31::uuid[], $32::text[], $33::uuid[],
        $34::text[], $35::text[], $36::text[], $37::text[], $38::timestamptz[]
    ) AS r (
        slot, chat_id, seq, message_id, sender_type, sender_id, sender_name, content,
        message_type, client_message_id, created_at
    )
    JOIN held USING (slot)
),
event AS (
    INSERT INTO chat_events (
        chat_id, log_id, kind, by_type, by_id, by_name, from_phase, to_phase, reason, body,
        created_at, epoch
    )
    SELECT
        r.chat_id, r.log_id, r.kind, r.by_type, r.by_id, r.by_name, r.from_phase, r.to_phase,
        r.reason, r.body::jsonb, r.created_at, held.epoch
    FROM unnest(
        $39::int[], $40::uuid[], $41::bigint[], $42::text[], $43::text[], $44::uuid[],
        $45::text[], $46::text[], $47::text[], $48::text[], $49::text[], $50::timestamptz[]
    ) AS r (
        slot, chat_id, log_id, kind, by_type, by_id, by_name, from_phase, to_phase, reason, body,
        created_at
    )
    JOIN held USING (slot)
),
customer AS (
    INSERT INTO customers (id, sub, is_guest, name, email, phone, locale, is_vip, is_signed)
    SELECT r.id, r.sub, r.is_guest, r.name, r.email, r.phone, r.locale, r.is_vip, r.is_signed
    FROM unnest(
        $51::int[], $52::uuid[], $53::text[], $54::bool[], $55::text[], $56::text[], $57::text[],
        $58::text[], $59::bool[], $60::bool[]
    ) AS r (slot, id, sub, is_guest, name, email, phone, locale, is_vip, is_signed)
    JOIN held USING (slot)
    ON CONFLICT (id) DO UPDATE SET
        name = coalesce(excluded.name, customers.name),
        email = coalesce(excluded.email, customers.email),
        phone = coalesce(excluded.phone, customers.phone),
        locale = coalesce(excluded.locale, customers.locale),
        is_vip = excluded.is_vip OR customers.is_vip,
        is_signed = excluded.is_signed OR customers.is_signed
)
SELECT slot FROM found
"""

FIND_MESSAGES: Final = """
SELECT m.message_id
FROM chat_messages AS m
JOIN unnest($1::uuid[], $2::bigint[]) AS wanted (chat_id, seq)
  ON m.chat_id = wanted.chat_id AND m.seq = wanted.seq
"""

FIND_EVENTS: Final = """
SELECT e.chat_id, e.log_id, e.created_at
FROM chat_events AS e
JOIN unnest($1::uuid[], $2::bigint[]) AS wanted (chat_id, log_id)
  ON e.chat_id = wanted.chat_id AND e.log_id = wanted.log_id
"""
