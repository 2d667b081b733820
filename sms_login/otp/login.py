"""login, verify and deleteAccount: what a right code is used for."""

import contextlib

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from sms_login import logs
from sms_login.calls import Call, Joint
from sms_login.errors import ServiceUnavailable
from sms_login.limits.client import Client
from sms_login.otp.verify import Guess, Verifier
from sms_login.sessions.proofs import Proofs, Proven
from sms_login.sessions.service import Sessions, SignedIn, banned
from sms_login.users import User, Users


class LoggedIn(SignedIn, frozen=True, rename="camel"):
    """The code was right.

    `is_returning` is true after a long absence, since `last_login_at` (epoch s): ask something that only the old owner
    of the number knows. Otherwise both are absent.
    """

    is_new_user: bool
    is_returning: bool | UnsetType = UNSET
    last_login_at: int | UnsetType = UNSET


class LoginService(Struct, frozen=True, kw_only=True, eq=False):
    """Signs users in, proves their numbers, and deletes their accounts, after a right code. Thread-safe."""

    verifier: Verifier
    users: Users
    sessions: Sessions
    proofs: Proofs

    def log_in(self, guess: Guess) -> LoggedIn:
        """Sign the number's user in or up, and begin a session. Raises UserBanned, and as `Verifier.redeem` does."""

        def sign_in(login_id: str) -> Call[tuple[User, SignedIn | None]]:
            return self.sessions.begin(guess.phone, self.users.sign_in(guess.phone, login_id))

        login = self.verifier.redeem(guess, sign_in)
        user, tokens = login.result
        if tokens is None:
            raise banned(user)
        # A user is named after the login that signed them up, so a repeated login gives the same answer.
        is_new = user.id == login.login_id
        logs.note(new_user=is_new)
        logged_in = LoggedIn(**asdict(tokens), is_new_user=is_new)
        if user.returning:
            return replace(logged_in, is_returning=True, last_login_at=user.last_login // 1000)
        return logged_in

    def prove(self, guess: Guess) -> Proven:
        """Prove that the number is in hand, for the purpose of the guess. Nobody is signed in.

        A right code refunds and clears failures as a login does. Raises the refusals of `Verifier.redeem`.
        """
        phone, purpose = guess.phone, guess.purpose

        def prove(proof_id: str) -> Call[Proven]:
            return Joint([], lambda: self.proofs.issue(proof_id, phone, purpose.name, purpose.detail))

        return self.verifier.redeem(guess, prove, login_id=self.proofs.new_id()).result

    def delete_account(self, token: str, code: str, challenge_id: str | None, client: Client) -> None:
        """Delete the token's user and all sessions, after a right code.

        Raises TokenInvalid, TokenExpired, UserBanned, and the refusals of `Verifier.redeem`.
        """
        claims = self.sessions.active_claims(token)

        def delete(_login_id: str) -> Call[None]:  # cut off in between, it can be repeated with the same code
            deleting = self.users.delete(claims.phone, claims.user_id)
            return self.sessions.store.end_all(claims.phone, claims.user_id, deleting)

        deletion = self.verifier.redeem(
            Guess(claims.phone, code, challenge_id, None, client), delete, counted_as="deleteAccount"
        )
        with contextlib.suppress(ServiceUnavailable):  # the account is deleted; the challenge expires by itself
            if deletion.challenge_id:
                self.verifier.challenges.forget(claims.phone, deletion.challenge_id).answer()
