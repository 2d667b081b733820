/// Signs a person in by SMS. For iOS 15, macOS 12 or newer.
import Foundation

struct Refused: LocalizedError, Decodable {
    struct Details: Decodable {
        let sessionId: String?
        let resendAfter: Int?
        let attemptsLeft: Int?
        let captchaAppId: String?
    }
    let codeStr: String
    let errorMessage: String
    let retryAfter: Int?
    let data: Details
    var errorDescription: String? { errorMessage }
}

struct SignedOut: Error {}
struct Sent: Decodable, Sendable { let sessionId: String; let resendAfter: Int }
struct Tokens: Codable, Equatable, Sendable { let token: String; let refreshToken: String }
struct User: Decodable, Sendable { let userId: String; let phone: String; let name: String }
private struct Nothing: Decodable {}
private struct Envelope<Data: Decodable>: Decodable { let data: Data }

actor SmsLogin {
    private let url: URL
    private let save: @Sendable (Tokens?) -> Void
    private var tokens: Tokens?
    private var refreshing: Task<Void, Error>?

    /// `tokens` are those of the last time, if any; `save` keeps new ones in the Keychain, and nil once they are of no
    /// more use.
    init(url: URL, tokens: Tokens?, save: @escaping @Sendable (Tokens?) -> Void) {
        self.url = url
        self.tokens = tokens
        self.save = save
    }

    /// `more`: sessionId to send the same code again; captchaTicket and captchaRandstr after CaptchaRequired.
    func sendCode(to phone: String, more: [String: String] = [:]) async throws -> Sent {
        do {
            return try await send("getSms", more.merging(["phone": phone]) { _, new in new })
        } catch let refused as Refused where refused.codeStr == "SendUnknown" {
            // It may arrive, and its code works.
            return Sent(sessionId: refused.data.sessionId ?? "", resendAfter: refused.data.resendAfter ?? 31)
        }
    }

    func logIn(phone: String, code: String, sessionId: String) async throws {
        let new: Tokens = try await send("login", ["phone": phone, "code": code, "sessionId": sessionId])
        keep(new)
    }

    /// Calls a method with the token of the login, and refreshes it if it has expired.
    func call<Answer: Decodable & Sendable>(_ method: String, _ params: [String: String] = [:]) async throws -> Answer {
        guard let used = tokens else { throw SignedOut() }
        do {
            return try await send(method, params, token: used.token)
        } catch let refused as Refused where refused.codeStr == "TokenExpired" {
            if tokens == used { try await refresh(used) }
        } catch let refused as Refused {
            forget(after: refused, used)
            throw refused
        }
        guard let new = tokens else { throw SignedOut() }
        return try await send(method, params, token: new.token)
    }

    func logOut() async {
        guard let used = tokens else { return }
        keep(nil) // signed out here, even if the function does not hear of it
        _ = try? await send("logout", ["refreshToken": used.refreshToken]) as Nothing
    }

    /// Calls that expire together share one refresh.
    private func refresh(_ used: Tokens) async throws {
        if refreshing == nil {
            refreshing = Task {
                defer { self.refreshing = nil }
                do {
                    let new: Tokens = try await self.send("refresh", ["refreshToken": used.refreshToken])
                    self.keep(new)
                } catch let refused as Refused {
                    self.forget(after: refused, used)
                    throw refused
                }
            }
        }
        try await refreshing?.value
    }

    /// Forgets the tokens of a session that has ended: show the login.
    private func forget(after refused: Refused, _ used: Tokens) {
        if ["TokenInvalid", "NotRegistered"].contains(refused.codeStr), tokens == used { keep(nil) }
    }

    private func keep(_ new: Tokens?) {
        tokens = new
        save(new)
    }

    /// Repeats a request whose answer was lost, once and with the same key: it sends no second SMS.
    private func send<Answer: Decodable & Sendable>(
        _ method: String, _ params: [String: String], token: String? = nil
    ) async throws -> Answer {
        let key = UUID().uuidString
        do {
            return try await post(method, params, key: key, token: token)
        } catch let refused as Refused where refused.codeStr != "ServiceUnavailable" {
            throw refused
        } catch {
            return try await post(method, params, key: key, token: token)
        }
    }

    private func post<Answer: Decodable & Sendable>(
        _ method: String, _ params: [String: String], key: String, token: String?
    ) async throws -> Answer {
        // The repeat of a refresh must not come too late.
        var request = URLRequest(url: url.appendingPathComponent(method), timeoutInterval: 8)
        request.httpMethod = "POST"
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.setValue(key, forHTTPHeaderField: "Idempotency-Key")
        if let token { request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization") }
        request.httpBody = try JSONEncoder().encode(params)
        let (body, response) = try await URLSession.shared.data(for: request)
        guard (response as? HTTPURLResponse)?.statusCode == 200 else {
            throw try JSONDecoder().decode(Refused.self, from: body)
        }
        return try JSONDecoder().decode(Envelope<Answer>.self, from: body).data
    }
}

/// The seconds left, each second, down to 0. The clock counts, since a device may sleep in between.
func countdown(_ seconds: Int) -> AsyncStream<Int> {
    let end = Date().addingTimeInterval(TimeInterval(seconds))
    return AsyncStream { stream in
        let ticking = Task {
            var left: Int
            repeat {
                left = max(0, Int(end.timeIntervalSinceNow.rounded(.up)))
                stream.yield(left)
                if left > 0 { try await Task.sleep(nanoseconds: 1_000_000_000) }
            } while left > 0
            stream.finish()
        }
        stream.onTermination = { _ in ticking.cancel() }
    }
}
