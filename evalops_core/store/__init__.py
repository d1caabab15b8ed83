"""What EvalOps remembers, in the PostgreSQL schema `evalops`: tables, their migrations, and typed reads and writes.

What belongs here: SQL, and the translation between rows and the domain's values. What does not: decisions (domain), the
embedded server's life (postgres), anything that reads settings (wiring).
"""
