/** Signs a person in by SMS. With kotlinx-coroutines and kotlinx-serialization-json, on Android and the JVM. */

import java.io.IOException
import java.net.HttpURLConnection
import java.net.URL
import java.util.Locale
import java.util.UUID
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

class Refused(answer: JsonObject) : Exception(answer.text("errorMessage")) {
    val code: String = answer.text("codeStr")
    val data: JsonObject = answer.getValue("data").jsonObject
    val retryAfter: Int? = answer["retryAfter"]?.jsonPrimitive?.int
}

class Sent(val sessionId: String, val resendAfter: Int)

class Tokens(val token: String, val refreshToken: String)

/** [tokens] are those of the last time, if any; [save] keeps new ones, and null once they are of no more use. */
class SmsLogin(private val url: String, @Volatile private var tokens: Tokens?, private val save: (Tokens?) -> Unit) {
    private val refreshing = Mutex()

    /** [more]: sessionId to send the same code again; captchaTicket and captchaRandstr after CaptchaRequired. */
    suspend fun sendCode(phone: String, more: Map<String, String> = emptyMap()): Sent {
        val data = try {
            send("getSms", more + ("phone" to phone))
        } catch (refused: Refused) {
            if (refused.code == "SendUnknown") refused.data else throw refused // it may arrive, and its code works
        }
        return Sent(data.text("sessionId"), data.getValue("resendAfter").jsonPrimitive.int)
    }

    suspend fun logIn(phone: String, code: String, sessionId: String): JsonObject {
        val user = send("login", mapOf("phone" to phone, "code" to code, "sessionId" to sessionId))
        keep(Tokens(user.text("token"), user.text("refreshToken")))
        return user
    }

    /** Calls a method with the token of the login, and refreshes it if it has expired. */
    suspend fun call(method: String, params: Map<String, String> = emptyMap()): JsonObject {
        val used = signedIn()
        try {
            return send(method, params, used.token)
        } catch (refused: Refused) {
            if (refused.code != "TokenExpired") throw ended(refused, used)
        }
        refreshing.withLock { if (tokens === used) refresh(used) } // calls that expire together share one refresh
        return send(method, params, signedIn().token)
    }

    suspend fun logOut() {
        val used = tokens ?: return
        keep(null) // signed out here, even if the function does not hear of it
        try {
            send("logout", mapOf("refreshToken" to used.refreshToken))
        } catch (error: Refused) {
            // it has ended already
        } catch (error: IOException) {
            // no connection, or no answer
        }
    }

    private fun signedIn() = tokens ?: throw IllegalStateException("signed out")

    private suspend fun refresh(used: Tokens) = try {
        val user = send("refresh", mapOf("refreshToken" to used.refreshToken))
        keep(Tokens(user.text("token"), user.text("refreshToken")))
    } catch (refused: Refused) {
        throw ended(refused, used)
    }

    /** Forgets the tokens of a session that has ended: show the login. */
    private fun ended(refused: Refused, used: Tokens): Refused {
        if (refused.code in setOf("TokenInvalid", "NotRegistered") && tokens === used) keep(null)
        return refused
    }

    private fun keep(new: Tokens?) {
        tokens = new
        save(new)
    }

    /** Repeats a request whose answer was lost, once and with the same key: it sends no second SMS. */
    private suspend fun send(method: String, params: Map<String, String>, token: String? = null): JsonObject {
        val key = UUID.randomUUID().toString()
        try {
            return post(method, params, key, token)
        } catch (refused: Refused) {
            if (refused.code != "ServiceUnavailable") throw refused
        } catch (error: IOException) {
            // no connection, or no answer
        }
        return post(method, params, key, token)
    }

    private suspend fun post(method: String, params: Map<String, String>, key: String, token: String?): JsonObject =
        withContext(Dispatchers.IO) {
            val connection = URL("$url/$method").openConnection() as HttpURLConnection
            try {
                connection.connectTimeout = 4_000
                connection.readTimeout = 8_000 // from when it is sent: the repeat of a refresh must not come too late
                connection.doOutput = true // makes it a POST
                connection.setRequestProperty("Content-Type", "application/json")
                connection.setRequestProperty("Accept-Language", Locale.getDefault().language)
                connection.setRequestProperty("Idempotency-Key", key)
                token?.let { connection.setRequestProperty("Authorization", "Bearer $it") }
                val body = JsonObject(params.mapValues { JsonPrimitive(it.value) }).toString()
                connection.outputStream.use { it.write(body.toByteArray()) }
                val stream = if (connection.responseCode == 200) connection.inputStream else connection.errorStream
                val text = stream?.bufferedReader()?.use { it.readText() } ?: ""
                val answer = Json.parseToJsonElement(text).jsonObject
                if (answer.getValue("errorCode").jsonPrimitive.int != 0) throw Refused(answer)
                answer.getValue("data").jsonObject
            } catch (error: IllegalArgumentException) {
                throw IOException(error) // not an answer of the function's
            } catch (error: NoSuchElementException) {
                throw IOException(error)
            } finally {
                connection.disconnect()
            }
        }
}

private fun JsonObject.text(name: String) = getValue(name).jsonPrimitive.content

/** The seconds left, each second, down to 0. The clock counts, since a device may sleep in between. */
fun countdown(seconds: Int): Flow<Int> = flow {
    val end = System.currentTimeMillis() + seconds * 1_000L
    do {
        val left = maxOf(0, Math.ceil((end - System.currentTimeMillis()) / 1_000.0).toInt())
        emit(left)
        if (left > 0) delay(1_000)
    } while (left > 0)
}
