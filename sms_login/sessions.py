"""What a user may do who is signed in."""

from sms_login.errors import NotRegistered, TokenInvalid, TokenMismatch
from sms_login.messages import StillLoggedIn, UserInfo
from sms_login.phone import Phone
from sms_login.ports import User, Users
from sms_login.tokens import AccessTokens, Claims


class Sessions:
    """Answers those who hold a token.

    Every method raises TokenInvalid, TokenExpired, NotRegistered if the user is gone, and ServiceUnavailable.
    """

    def __init__(self, users: Users, tokens: AccessTokens) -> None:
        self._users = users
        self._tokens = tokens

    def still_logged_in(self, phone: Phone, token: str) -> StillLoggedIn:
        """Tell whether a token still counts for this phone. Raises TokenMismatch if it is another's."""
        claims = self._tokens.verify(token)
        if claims.phone.e164 != phone.e164:
            raise TokenMismatch
        user = self._owner(claims, self._users.find(claims.phone))
        return StillLoggedIn(user.id, user.phone.e164, user.name, user.avatar)

    def user_info(self, token: str) -> UserInfo:
        """Show whom the token is for."""
        claims = self._tokens.verify(token)
        return _info(self._owner(claims, self._users.find(claims.phone)))

    def set_nickname(self, token: str, name: str) -> UserInfo:
        """Give the token's user a nickname."""
        claims = self._tokens.verify(token)
        user = self._users.rename(claims.phone, claims.user_id, name) or self._users.find(claims.phone)
        return _info(self._owner(claims, user))

    def _owner(self, claims: Claims, user: User | None) -> User:
        if user is None:
            raise NotRegistered
        if user.id != claims.user_id:  # the number has signed up anew since
            raise TokenInvalid
        return user


def _info(user: User) -> UserInfo:
    return UserInfo(user.id, user.phone.e164, user.name, user.avatar)
