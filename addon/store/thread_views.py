"""The view `threads`: the current branch of each conversation, from its root to its current node.

Each message once, also where the parents that the service named go round in a circle. The branch is walked for one
conversation after another: who asks for one, or for the first rows, does not wait for all the others.
"""

THREADS = """
    SELECT c.id AS conversation_id, branch.key + 1 AS position, m.n, m.id, m.role, m.author_name, m.recipient,
           m.content_type, m.text, m.status, m.visible, m.model_slug, m.created_at
    FROM conversations c
    JOIN json_each((
        WITH RECURSIVE branch (id, distance) AS (
            SELECT c.current_node, 0
            UNION
            SELECT b.parent_id, branch.distance + 1 FROM branch
            JOIN messages b ON b.conversation_id = c.id AND b.id = branch.id
            WHERE b.parent_id IS NOT NULL AND branch.distance < 10000)
        SELECT json_group_array(n) FROM (
            SELECT b.n FROM branch JOIN messages b ON b.conversation_id = c.id AND b.id = branch.id
            GROUP BY b.n ORDER BY min(branch.distance) DESC))) branch
    JOIN messages m ON m.n = branch.value
    WHERE c.current_node IS NOT NULL"""
