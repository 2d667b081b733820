/// A whole login in a terminal, with the URL and the number as arguments.
import Foundation

@main
struct Login {
    static func main() async throws {
        let given = CommandLine.arguments.dropFirst()
        let url = URL(string: given.first ?? "http://127.0.0.1:9000")!
        let phone = given.dropFirst().first ?? "+8613800138000"
        let login = SmsLogin(url: url, tokens: nil) { _ in } // an app keeps the tokens

        let sent = try await login.sendCode(to: phone)
        for await left in countdown(sent.resendAfter) { print("Send again in \(left) s") }
        let again = try await login.sendCode(to: phone, more: ["sessionId": sent.sessionId])
        print("Code: ", terminator: "")
        try await login.logIn(phone: phone, code: readLine() ?? "", sessionId: again.sessionId)

        // Both at once: one of them refreshes if the token has expired.
        async let first: User = login.call("getUserInfo")
        async let second: User = login.call("getUserInfo")
        let (user, _) = try await (first, second)
        print("Signed in as \(user.phone)")
        await login.logOut()
    }
}
