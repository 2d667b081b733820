"""login, verify, changePhone and deleteAccount: the uses of a right code."""

import contextlib

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from sms_login import logs
from sms_login.calls import Call, Joint
from sms_login.errors import InvalidParam, PhoneTaken, ServiceUnavailable, TokenMismatch
from sms_login.limits.client import Client
from sms_login.otp.purposes import CHANGE_PHONE
from sms_login.otp.store import Redemption
from sms_login.otp.verify import Guess, Verifier
from sms_login.sessions.proofs import Proofs, Proven
from sms_login.sessions.service import Sessions, SignedIn, banned
from sms_login.users import User, Users


class LoggedIn(SignedIn, frozen=True, rename="camel"):
    """The code was right."""

    is_new_user: bool
    # Only after a long absence, since `last_login_at` (epoch s): ask something that the old owner of the number knows.
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

        def sign_in(redeemed: Redemption) -> Call[tuple[User, SignedIn | None]]:
            signing_in = self.users.sign_in(guess.phone, redeemed.login_id, redeemed.generation)
            return self.sessions.begin(guess.phone, signing_in)

        login = self.verifier.redeem(guess, sign_in)
        # A user is named after the login that signed them up, so a repeated login gives the same answer.
        return _logged_in(*login.result, login.login_id)

    def prove(self, guess: Guess) -> Proven:
        """Prove that the number is in hand, for the purpose of the guess. Nobody is signed in.

        A right code refunds and clears failures as a login does. Raises the refusals of `Verifier.redeem`.
        """
        phone, purpose = guess.phone, guess.purpose

        def prove(redeemed: Redemption) -> Call[Proven]:
            proof_id, called = redeemed.login_id, redeemed.called
            return Joint([], lambda: self.proofs.issue(proof_id, phone, purpose.name, purpose.detail, called=called))

        return self.verifier.redeem(guess, prove, login_id=self.proofs.new_id()).result

    def change_phone(self, token: str, proof: str, guess: Guess) -> LoggedIn:
        """Give the token's user the number of the guess, end all their sessions, and begin one.

        Raises TokenInvalid and TokenExpired for either token, TokenMismatch for a proof of another number, InvalidParam
        for the present number, PhoneTaken and UserBanned after a right code, which is spent, and as `Verifier.redeem`.
        """
        proven = self.proofs.verify(proof, CHANGE_PHONE.name)
        if guess.phone.e164 == proven.phone.e164:
            raise InvalidParam("phone is the present number", "phone 是当前的号码")
        claims = self.sessions.mover(token, guess.phone)
        if proven.phone.e164 != claims.phone.e164:
            raise TokenMismatch("the proof is of another number")

        def move(_: Redemption) -> Call[tuple[User, SignedIn | None]]:
            return self.sessions.begin(guess.phone, self.users.move(claims.phone, guess.phone, claims.user_id), claims)

        user, tokens = self.verifier.redeem(guess, move).result
        if user.id != claims.user_id:
            raise PhoneTaken
        return _logged_in(user, tokens)

    def delete_account(self, token: str, code: str, challenge_id: str | None, client: Client) -> None:
        """Delete the token's user and all sessions, after a right code.

        Raises TokenInvalid, TokenExpired, UserBanned, and the refusals of `Verifier.redeem`.
        """
        claims = self.sessions.claims(token)

        def delete(_: Redemption) -> Call[None]:  # cut off in between, it can be repeated with the same code
            deleting = self.users.delete(claims.phone, claims.user_id)
            return self.sessions.store.end_all(claims.phone, claims.user_id, deleting)

        deletion = self.verifier.redeem(
            Guess(claims.phone, code, challenge_id, None, client), delete, counted_as="deleteAccount"
        )
        with contextlib.suppress(ServiceUnavailable):  # the account is deleted; the challenge expires by itself
            if deletion.challenge_id:
                self.verifier.challenges.forget(claims.phone, deletion.challenge_id).answer()


def _logged_in(user: User, tokens: SignedIn | None, login_id: str = "") -> LoggedIn:
    """Return the answer to a login that began a session. Raises UserBanned if it did not."""
    if tokens is None:
        raise banned(user)
    logs.note(new_user=user.id == login_id)
    logged_in = LoggedIn(**asdict(tokens), is_new_user=user.id == login_id)
    if user.returning:
        return replace(logged_in, is_returning=True, last_login_at=user.last_login // 1000)
    return logged_in
