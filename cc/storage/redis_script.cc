#include "cc/storage/redis_script.h"

#include <openssl/sha.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace tf_hps {
namespace {

// The head is written before the first row and after the last: a script that breaks off in between
// (out of memory, a slot that moves) leaves a state that nobody promotes to.
constexpr absl::string_view kScript = R"(
local key, kind = KEYS[1], ARGV[1]
local lineage, before, next_lineage, after = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local takes_over, is_last, ttl = ARGV[6] == '1', ARGV[7] == '1', ARGV[8]
local puts = tonumber(ARGV[9])
local head = redis.call('GET', key)
local epoch, at_lineage, at
if head then epoch, at_lineage, at = string.match(head, '^(%d+) (%S+) (%S+)$') end

local raise = not epoch
if epoch then
  if kind == 'promote' then
    if at_lineage == lineage then
      raise = at < before
      if at > before then return {epoch, 'refused'} end
    elseif takes_over then
      raise = true
    else
      return {epoch, 'refused'}
    end
  elseif at_lineage == lineage and at == before then
    raise = false
  elseif at_lineage == next_lineage and at >= after then
    return {epoch, 'there'}
  else
    -- A part of this very update may stand there already, written by us or by another server.
    raise = not (at_lineage == next_lineage and (lineage ~= next_lineage or at > before))
  end
end
if raise then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  epoch = string.format('%.0f', math.max(now, (tonumber(epoch) or 0) + 1))
end

local moves = lineage ~= next_lineage or before ~= after
if moves and lineage == next_lineage then
  redis.call('SET', key, epoch .. ' ' .. lineage .. ' ' .. before .. '+')
elseif moves then
  redis.call('SET', key, epoch .. ' ' .. next_lineage .. ' 0+')
elseif raise then
  redis.call('SET', key, epoch .. ' ' .. lineage .. ' ' .. before)
end
local prefix = key .. epoch .. ':'
for i = 10, 8 + 2 * puts, 2 do
  if kind == 'promote' then
    if ttl == '0' then redis.call('SET', prefix .. ARGV[i], ARGV[i + 1], 'NX')
    else redis.call('SET', prefix .. ARGV[i], ARGV[i + 1], 'NX', 'EX', ttl) end
  elseif ttl == '0' then redis.call('SET', prefix .. ARGV[i], ARGV[i + 1])
  else redis.call('SET', prefix .. ARGV[i], ARGV[i + 1], 'EX', ttl) end
end
for i = 10 + 2 * puts, #ARGV do redis.call('DEL', prefix .. ARGV[i]) end
if moves and is_last then
  redis.call('SET', key, epoch .. ' ' .. next_lineage .. ' ' .. after)
end
return {epoch, 'written'}
)";

std::string Sha1Hex(absl::string_view text) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), sizeof(digest)});
}

void AppendWord(absl::string_view word, std::string* out) {
  absl::StrAppend(out, "$", word.size(), "\r\n", word, "\r\n");
}

void AppendKeyWord(Key key, std::string* out) {
  out->append("$8\r\n");
  AppendRedisKeyBytes(key, out);
  out->append("\r\n");
}

}  // namespace

absl::string_view RedisWriteScript() { return kScript; }

std::string RedisWriteCommand(const RedisWrite& write) {
  static const auto* const sha = new std::string(Sha1Hex(kScript));
  std::string command;
  size_t bytes = 512 + 16 * write.erased.size();
  for (const absl::string_view row : write.rows) bytes += row.size() + 32;
  command.reserve(bytes);
  const size_t words = 4 + 9 + 2 * write.keys.size() + write.erased.size();
  absl::StrAppend(&command, "*", words, "\r\n");
  for (const absl::string_view word :
       {absl::string_view("EVALSHA"), absl::string_view(*sha), absl::string_view("1"),
        absl::string_view(write.partition_key),
        absl::string_view(write.is_promotion ? "promote" : "update"),
        absl::string_view(write.before.lineage), absl::string_view(write.before.position),
        absl::string_view(write.after.lineage), absl::string_view(write.after.position),
        absl::string_view(write.takes_over ? "1" : "0"),
        absl::string_view(write.is_last ? "1" : "0")}) {
    AppendWord(word, &command);
  }
  AppendWord(absl::StrCat(write.ttl_s), &command);
  AppendWord(absl::StrCat(write.keys.size()), &command);
  for (size_t i = 0; i < write.keys.size(); ++i) {
    AppendKeyWord(write.keys[i], &command);
    AppendWord(write.rows[i], &command);
  }
  for (const Key key : write.erased) AppendKeyWord(key, &command);
  return command;
}

}  // namespace tf_hps
