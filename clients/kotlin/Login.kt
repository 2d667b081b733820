/** A whole login in a terminal, with the URL and the number as arguments. */

import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.runBlocking
import kotlinx.serialization.json.jsonPrimitive

fun main(args: Array<String>) = runBlocking {
    val (url, phone) = args.ifEmpty { arrayOf("http://127.0.0.1:9000", "+8613800138000") }
    val login = SmsLogin(url, null) { } // an app keeps the tokens

    val sent = login.sendCode(phone)
    countdown(sent.resendAfter).collect { println("Send again in $it s") }
    val again = login.sendCode(phone, mapOf("sessionId" to sent.sessionId))
    print("Code: ")
    login.logIn(phone, readln(), again.sessionId)

    // Both at once: one of them refreshes if the token has expired.
    val (user) = List(2) { async { login.call("getUserInfo") } }.awaitAll()
    println("Signed in as ${user.getValue("phone").jsonPrimitive.content}")
    login.logOut()
}
