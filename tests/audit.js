// Prints the findings of cdk-nag in the template that SAM makes of template.yaml.
//
//     node tests/audit.js FOLDER      with template.json in the folder

const { readFileSync, readdirSync, rmSync, writeFileSync } = require("node:fs");
const { App, Aspects, Stack } = require("aws-cdk-lib");
const { CfnInclude } = require("aws-cdk-lib/cloudformation-include");
const { AwsSolutionsChecks, NagReportFormat, ServerlessChecks } = require("cdk-nag");

const [folder] = process.argv.slice(2);
const templateFile = `${folder}/included.json`;
const outdir = `${folder}/nag`;
// cdk-nag looks for suppressions of the whole stack in the stack's own metadata alone.
const { Metadata, ...template } = JSON.parse(readFileSync(`${folder}/template.json`, "utf8"));
writeFileSync(templateFile, JSON.stringify(template));
rmSync(outdir, { recursive: true, force: true });
const app = new App({ outdir, analyticsReporting: false });
const stack = new Stack(app, "sms-verify");
new CfnInclude(stack, "template", { templateFile });
stack.templateOptions.metadata = Metadata;
const settings = { reports: true, reportFormats: [NagReportFormat.JSON] };
Aspects.of(app).add(new AwsSolutionsChecks(settings));
Aspects.of(app).add(new ServerlessChecks({ reports: true, reportFormats: [NagReportFormat.JSON] }));
app.synth();

const reports = readdirSync(outdir).filter((name) => name.endsWith("NagReport.json"));
const read = (name) => JSON.parse(readFileSync(`${outdir}/${name}`, "utf8"));
const lines = reports.flatMap((name) => read(name).lines);
const fine = ["Compliant", "Suppressed"];
const found = lines.filter(({ compliance }) => !fine.includes(compliance));
for (const { ruleId, resourceId, ruleInfo } of found) {
  console.log(`${ruleId} ${resourceId}: ${ruleInfo}`);
}
console.log(`${lines.length} results of cdk-nag, ${found.length} of them not followed`);
process.exit(lines.length === 0 || found.length > 0 ? 1 : 0);
