"""The table of users in SQL."""

from sqlalchemy import BigInteger, Column, MetaData, String, Table
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

NAME, AVATAR, ID = 64, 2048, 64  # characters


def _ascii(length: int) -> TypeEngine[str]:
    """Return a string type that compares byte by byte: in MySQL's default collations `A` equals `a`."""
    return String(length).with_variant(mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql")


# Columns that the first tables did not have. Times in epoch ms, 0 if they do not apply.
ADDED = [Column(name, BigInteger, nullable=False, server_default="0") for name in ("banned", "last_login", "returned")]

USERS = Table(
    "sms_login_users",
    MetaData(),
    Column("phone", _ascii(16), primary_key=True),  # a plus and at most 15 digits: ITU-T E.164
    Column("id", _ascii(ID), nullable=False, unique=True),
    Column("name", String(NAME), nullable=False),
    Column("avatar", String(AVATAR), nullable=False),
    Column("created", BigInteger, nullable=False),  # epoch ms
    *ADDED,
    mysql_engine="InnoDB",
    mysql_charset="utf8mb4",
    mysql_collate="utf8mb4_bin",
)
