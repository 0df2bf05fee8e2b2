#include "cc/common/config.h"
#include "cc/common/config_names.h"
#include "tests/cc/common/config_testing.h"

namespace tf_hps {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ConfigSecretsTest : public ConfigTest {
 protected:
  std::string RemoteRefusal(const std::string& options) const {
    return std::string(Refusal(R"({"format_version": 1, "remote": )" + options + "}").message());
  }
};

TEST_F(ConfigSecretsTest, AFileOrAVariableNamesTheSecret) {
  const auto by_file = Load(R"({"format_version": 1, "remote": {"password_file": "pw.txt"},
                                "tables": {"a": {"remote": {"password_env": "REMOTE_PW"}},
                                           "b": {}}})");
  ASSERT_TRUE(by_file.ok()) << by_file.status();
  EXPECT_EQ(by_file->tables.at("b").sections.at("remote"),
            json({{"url", nullptr}, {"password_file", At("pw.txt")}, {"password_env", nullptr}}));
  EXPECT_EQ(by_file->tables.at("a").sections.at("remote"),
            json({{"url", nullptr}, {"password_file", nullptr}, {"password_env", "REMOTE_PW"}}));
}

TEST_F(ConfigSecretsTest, ALiteralIsRefusedWithTheCureAndNotShown) {
  const auto cure =
      AllOf(HasSubstr("as <name>_file"), HasSubstr("as <name>_env"),
            HasSubstr("Known: url, password_file, password_env"), Not(HasSubstr("hunter2")));
  EXPECT_THAT(RemoteRefusal(R"({"password": "hunter2"})"), cure);
  EXPECT_THAT(RemoteRefusal(R"({"Auth_Token": "hunter2"})"), cure);
  EXPECT_THAT(RemoteRefusal(R"({"api_key": "hunter2"})"), cure);
  EXPECT_THAT(SampleRefusal(R"({"client_secret": "hunter2"})"), HasSubstr("as <name>_file"));
  SetVariable("TF_HPS_REMOTE_PASSWORD", "hunter2");
  EXPECT_THAT(RemoteRefusal("{}"),
              AllOf(HasSubstr("as <name>_file"), HasSubstr("TF_HPS_REMOTE_PASSWORD_FILE"),
                    Not(HasSubstr("hunter2"))));
}

TEST_F(ConfigSecretsTest, ASecretInPlaceOfAVariablesNameIsNotShown) {
  for (const char* value : {"\"hunter 2\"", "271828", "\"TF_HPS_PASSWORD\"", "\"\""}) {
    EXPECT_THAT(RemoteRefusal(std::string(R"({"password_env": )") + value + "}"),
                AllOf(HasSubstr("`remote.password_env` is the name of an environment variable"),
                      Not(HasSubstr("hunter")), Not(HasSubstr("271828"))));
  }
}

TEST_F(ConfigSecretsTest, OnlyOneWayIsTaken) {
  EXPECT_THAT(RemoteRefusal(R"({"password_env": "A", "password_file": "b"})"),
              HasSubstr("`remote.password_env` and `remote.password_file` are both given"));
  SetVariable("TF_HPS_REMOTE_PASSWORD_ENV", "A");
  EXPECT_EQ(RemoteRefusal(R"({"password_file": "b"})"), "");
  SetVariable("TF_HPS_REMOTE_PASSWORD_FILE", "b");
  EXPECT_THAT(RemoteRefusal("{}"), HasSubstr("are both set in the environment"));
}

TEST_F(ConfigSecretsTest, AHigherLayersWayReplacesALowerOnes) {
  SetVariable("TF_HPS_CONFIG", Write("site.json", R"({"remote": {"password_env": "SITE_PW"}})"));
  const auto config = Load(R"({"format_version": 1, "remote": {"password_file": "pw.txt"},
                               "tables": {"a": {}}})");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->tables.at("a").sections.at("remote"),
            json({{"url", nullptr}, {"password_file", nullptr}, {"password_env", "SITE_PW"}}));
}

TEST_F(ConfigSecretsTest, ExplainMasksCredentialsInUrls) {
  const auto lines = ExplainConfig(Write("hps.json", R"({"format_version": 1,
      "remote": {"url": "redis://user:hunter2@host:6379/0"}})"));
  ASSERT_TRUE(lines.ok()) << lines.status();
  EXPECT_THAT(lines->dump(),
              AllOf(HasSubstr("redis://***@host:6379/0"), Not(HasSubstr("hunter2"))));
}

TEST_F(ConfigSecretsTest, MessagesMaskCredentialsInUrls) {
  EXPECT_THAT(SampleRefusal(R"({"rows": "redis://user:hunter2@host"})"),
              AllOf(HasSubstr("redis://***@host"), Not(HasSubstr("hunter2"))));
}

TEST(MaskCredentialsTest, NothingOfAPasswordIsLeft) {
  EXPECT_EQ(MaskCredentials("redis://user:pw@host"), "redis://***@host");
  EXPECT_EQ(MaskCredentials("redis://user:p/w@x@host/0"), "redis://***@host/0");
  EXPECT_EQ(MaskCredentials("redis://:a@h1,redis://:b@h2"), "redis://***@h1,redis://***@h2");
  EXPECT_EQ(MaskCredentials("at redis://u:p@h for a@b"), "at redis://***@h for a@b");
  EXPECT_EQ(MaskCredentials("redis://host/0"), "redis://host/0");
  EXPECT_EQ(MaskCredentials("/data/a@b"), "/data/a@b");
  EXPECT_EQ(MaskCredentials("://"), "://");
  EXPECT_EQ(MaskCredentials("a://@"), "a://***@");
  EXPECT_EQ(MaskCredentials("redis://h/0?Password=p%40w&db=1 and more"),
            "redis://h/0?Password=***&db=1 and more");
  EXPECT_EQ(MaskCredentials("redis://u:p@h?db=1&auth=x&token=y,redis://h2?pw=z"),
            "redis://***@h?db=1&auth=***&token=***://h2?pw=***");
  EXPECT_EQ(MaskCredentials("a://h?db=1&b"), "a://h?db=1&b");
}

}  // namespace
}  // namespace tf_hps
