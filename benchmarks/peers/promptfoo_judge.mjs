// The judge of promptfoo_peer: promptfoo's own OpenAI provider, whose three axes become the one score that it reads.
const AXES = ["accuracy", "completeness", "clarity"];

export default class Judge {
  constructor(options) {
    this.config = options.config;
  }

  id() {
    return "three-axes";
  }

  async callApi(prompt, context, options) {
    // Of the class that promptfoo has loaded for the answers: to import its library again would take seconds.
    this.inner ??= new context.originalProvider.constructor(this.config.model, { config: this.config.openai });
    const reply = await this.inner.callApi(prompt, context, options);
    if (reply.error) return reply;
    const said = typeof reply.output === "string" ? JSON.parse(reply.output) : reply.output;
    const score = AXES.reduce((sum, axis) => sum + said[axis].score, 0) / AXES.length / 5;
    return { ...reply, output: { pass: true, score, reason: `judged: ${said.accuracy.reason}` } };
  }
}
