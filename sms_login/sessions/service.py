"""Sessions: beginning, refreshing and ending them, and the requests that need one."""

import secrets
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import asdict

from sms_login import logs
from sms_login.calls import Call, Joint, Later, Send
from sms_login.errors import NotRegistered, ServiceUnavailable, TokenInvalid, TokenMismatch, UserBanned
from sms_login.periods import Seconds
from sms_login.phone import Phone
from sms_login.secret import Masked
from sms_login.sessions.access_tokens import AccessTokens, Claims
from sms_login.sessions.refresh_tokens import RefreshToken, RefreshTokens
from sms_login.sessions.store import Rotation, SessionStore
from sms_login.users import User, Users


class UserInfo(Masked, frozen=True, rename="camel"):
    """A user; `phone` in E.164."""

    user_id: str
    phone: str
    name: str
    avatar: str


class StillLoggedIn(UserInfo, frozen=True, rename="camel"):
    """The user of a token that is still valid; `token` is the same again, which apps of Tencent's 2020 demo keep."""

    token: str
    is_new_user: bool = False


class SignedIn(UserInfo, frozen=True, rename="camel"):
    """A user with the tokens of a session; the refresh token expires unless it is used."""

    token: str
    expires_in: Seconds
    refresh_token: str
    refresh_expires_in: Seconds


class Sessions(Struct, frozen=True, kw_only=True, eq=False):
    """Begins, refreshes and ends sessions. Thread-safe.

    Every method with a token raises TokenInvalid, TokenExpired, NotRegistered if the user is gone, UserBanned (except
    `logout`) and ServiceUnavailable. The tokens of a test number are valid through its last day, as its code is.
    """

    users: Users
    store: SessionStore
    access_tokens: AccessTokens
    refresh_tokens: RefreshTokens
    test_number_ended: Callable[[Phone], bool]
    send: Send

    def begin(self, phone: Phone, user: Call[User], mover: Claims | None = None) -> Call[tuple[User, SignedIn | None]]:
        """Begin a session of the number's user, and answer both; `SessionStore.begin` says when none begins.

        Raises ServiceUnavailable.
        """
        session = secrets.token_urlsafe(16)  # 128 bits
        beginning = self.store.begin(phone, session, user, mover)

        def signed_in() -> tuple[User, SignedIn | None]:
            begun = beginning.answer()
            user = begun.user
            return user, self._tokens(user, session, 1, begun.left_ms) if begun.left_ms else None

        return Joint([beginning], signed_in)

    def refresh(self, token: str) -> SignedIn:
        """Rotate a refresh token and return the new tokens; a token that returns too late ends its session."""
        old = self.refresh_tokens.read(token)
        if self.test_number_ended(old.phone):
            raise TokenInvalid
        finding = self.users.find(old.phone)
        rotating = self.store.rotate(old.phone, old.session, old.count, finding)
        self.send(finding, rotating)
        user = finding.answer()  # first: after a rotation, a failure would cost a repeat
        rotated = rotating.answer()
        if rotated.rotation is Rotation.REUSED:
            logs.alert("refresh_token_reused", user=user.id if user else None)
        if rotated.rotation not in {Rotation.ROTATED, Rotation.REPEATED}:
            raise TokenInvalid
        return self._tokens(_owner(rotated.user_id, user), old.session, rotated.count, rotated.left_ms)

    def logout(self, access: str | None, refresh: str | None, *, everywhere: bool) -> None:
        """End the session of either token, or all sessions of its number."""
        if refresh:
            token: RefreshToken | Claims = self.refresh_tokens.read(refresh)
            if self.store.owner(token.phone, token.session).answer() is None:
                raise TokenInvalid
        else:
            token, owner = self._verified(access or "")
            _check(token, owner)
        (self.store.end_all(token.phone) if everywhere else self.store.end(token.phone, token.session)).answer()

    def claims(self, token: str) -> Claims:
        """Return the claims of an access token whose session has not ended, and whose user is not banned."""
        claims, user = self._user(token)
        if user and user.id == claims.user_id:
            _owner(claims.user_id, user)
        return claims

    def mover(self, token: str, new: Phone) -> Claims:
        """Return the claims of an access token whose user may change the number.

        If the user has the new number already, a change is repeated, which has ended the session: any token will do.
        """
        claims, owner = self._verified(token)
        finding, there = self.users.find(claims.phone), self.users.find(new)
        self.send(owner, finding, there)
        if not (user := there.answer()) or user.id != claims.user_id:
            _check(claims, owner)
            _owner(claims.user_id, finding.answer())
            if isinstance(there, Later):  # a change from there, cut off between SQL and Redis, may have left sessions
                self.store.end_all(new, claims.user_id).answer()
        return claims

    def still_logged_in(self, phone: Phone, token: str) -> StillLoggedIn:
        """Return the user of a token that is valid for this phone. Raises TokenMismatch if it is another's."""
        claims, user = self._user(token)
        if claims.phone.e164 != phone.e164:
            raise TokenMismatch
        return StillLoggedIn(**asdict(_info(_owner(claims.user_id, user))), token=token)

    def user_info(self, token: str) -> UserInfo:
        """Return the token's user."""
        claims, user = self._user(token)
        return _info(_owner(claims.user_id, user))

    def set_nickname(self, token: str, name: str) -> UserInfo:
        """Give the token's user a nickname."""
        claims, owner = self._verified(token)
        renaming = self.users.rename(claims.phone, claims.user_id, name, only_if=owner)
        self.send(owner, renaming)
        _check(claims, owner)
        if user := renaming.answer():
            return _info(user)
        _owner(claims.user_id, self.users.find(claims.phone).answer())
        raise ServiceUnavailable("the user was changed meanwhile")

    def _verified(self, token: str) -> tuple[Claims, Call[str | None]]:
        """Return the claims of an access token, and the call for the owner of its session."""
        claims = self.access_tokens.verify(token)
        if self.test_number_ended(claims.phone):
            raise TokenInvalid
        return claims, self.store.owner(claims.phone, claims.session)

    def _user(self, token: str) -> tuple[Claims, User | None]:
        """Return the claims of an access token whose session has not ended, and the number's user."""
        claims, owner = self._verified(token)
        finding = self.users.find(claims.phone)
        self.send(owner, finding)
        _check(claims, owner)
        return claims, finding.answer()

    def _tokens(self, user: User, session: str, count: int, left_ms: int) -> SignedIn:
        return SignedIn(
            **asdict(_info(user)),
            token=self.access_tokens.issue(user, session),
            expires_in=min(self.access_tokens.ttl, left_ms // 1000),
            refresh_token=self.refresh_tokens.issue(user.phone, session, count),
            refresh_expires_in=left_ms // 1000,
        )


def _check(claims: Claims, owner: Call[str | None]) -> None:
    """Raise TokenInvalid if the session of the claims has ended."""
    if owner.answer() != claims.user_id:
        raise TokenInvalid


def _owner(user_id: str, user: User | None) -> User:
    if user is None:
        raise NotRegistered
    if user.id != user_id:  # the number has signed up anew since
        raise TokenInvalid
    if user.banned:
        raise banned(user)
    return user


def banned(user: User) -> UserBanned:
    """Return the refusal for a banned user, whom the log names."""
    logs.note(user_id=user.id)
    return UserBanned()


def _info(user: User) -> UserInfo:
    return UserInfo(user.id, user.phone.e164, user.name, user.avatar)
