#include "frontends/hf/CommonKeys.h"

#include <absl/strings/str_split.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace quern::hf {
namespace {

/// Keys that say nothing of what the model computes. Token ids are the tokenizer importer's, and
/// the types that weights were saved in are said by the weights' files.
constexpr char kOfNoConsequence[] =
    // What PretrainedConfig of transformers 2 to 5 writes about the file.
    "architectures model_type _name_or_path name_or_path model_name base_model "
    "transformers_version auto_map tokenizer_class tokenizer_name task_specific_params "
    "finetuning_task _commit_hash torch_dtype dtype use_bfloat16 fp16 bf16 fp32 "
    "_pre_quantization_dtype custom_pipeline custom_pipelines model_max_length "
    "max_sequence_length max_seq_length tokenizer_model_max_length tokenizer_padding_side "
    "model_file _from_model_config _auto_class base_model_name_or_path "
    // What other programs leave.
    "transformers.js_config "
    // Training.
    "initializer_range initializer_factor init_std init_device init_config init_method "
    "initializer_scale layerdrop router_aux_loss_coef output_router_logits router_jitter_noise "
    "z_loss_coef label_smoothing gradient_checkpointing gradient_checkpointing_kwargs "
    "use_gradient_checkpointing neftune_noise_alpha seed ignore_index loss_type num_steps "
    "deepspeed "
    // Heads for other tasks, which weights would show.
    "problem_type id2label label2id num_labels _num_labels summary_activation "
    "summary_proj_to_labels summary_type summary_use_proj predict_special_tokens n_special "
    "add_classification_head class_num pool_type skip_cls_token "
    // How a program runs it, rounds, and splits it.
    "use_cache output_attentions output_hidden_states output_past return_dict use_return_dict "
    "return_tuple torchscript xla_device pruned_heads chunk_size_feed_forward "
    "attn_implementation _attn_implementation _attn_implementation_autoset "
    "_attn_implementation_internal _experts_implementation experts_implementation attn_impl "
    "use_mamba_kernels use_flash_attn use_flash_attention use_flash_attention_2 flash_attn "
    "flash_attention _flash_attn_2_enabled use_flash_attn_2 use_sdpa use_xformers "
    "use_xformers_attention use_memory_efficient_attention tf_legacy_loss "
    "keys_to_ignore_at_inference is_decoder is_composition tie_encoder_decoder "
    "cross_attention_hidden_size pretraining_tp tensor_parallel_size base_model_tp_plan "
    "base_model_pp_plan use_fused_rope use_fused_rms_norm use_fused_mlp "
    "use_fused_cross_entropy fused_bias_fc fuse_norm fuse_cross_entropy verbose "
    "disable_exllama softmax_in_fp32 attention_softmax_in_fp32 scale_attention_softmax_in_fp32 "
    "enable_lm_head_fp32 "
    // Token ids.
    "bos_token eos_token pad_token unk_token pad_id im_start_id im_end_id im_newline_id "
    "image_token_index text_start_id text_end_id mask_init_id "
    // Defaults of text generation, which old configs hold.
    "generation_config temperature top_k top_p min_p top_h typical_p epsilon_cutoff eta_cutoff "
    "num_beams num_beam_groups diversity_penalty penalty_alpha repetition_penalty "
    "encoder_repetition_penalty length_penalty no_repeat_ngram_size "
    "encoder_no_repeat_ngram_size min_length max_length min_new_tokens max_new_tokens max_time "
    "max_matching_ngram_size do_sample do_stream early_stopping stop_strings "
    "num_return_sequences bad_words_ids force_words_ids suppress_tokens begin_suppress_tokens "
    "sequence_bias exponential_decay_length_penalty remove_invalid_values renormalize_logits "
    "constraints return_dict_in_generate output_scores output_logits guidance_scale "
    "token_healing watermarking_config dola_layers low_memory cache_implementation "
    "cache_config return_legacy_cache prefill_chunk_size disable_compile compile_config "
    "is_assistant num_assistant_tokens num_assistant_tokens_schedule "
    "assistant_confidence_threshold assistant_early_exit assistant_lookbehind "
    "target_lookbehind prompt_lookup_num_tokens prefix max_window_size chat_format "
    "max_context_length";

/// The same by what a key is called: rates of dropout, which is off but in training; ids of tokens;
/// what a tool signs its files with.
bool is_of_no_consequence(std::string_view key) {
  return key.find("dropout") != std::string_view::npos || key.ends_with("_pdrop") ||
         key.ends_with("_token_id") || key.ends_with("_token_ids") || key.starts_with("unsloth_");
}

} // namespace

void read_common_keys(const ConfigJson &config, ModelReader &reader) {
  for (const std::string &key : config.keys())
    if (is_of_no_consequence(key))
      reader.ignore({key});
  for (absl::string_view key : absl::StrSplit(kOfNoConsequence, ' '))
    reader.ignore({std::string_view(key.data(), key.size())});
  reader.expect("is_encoder_decoder", false);
  reader.expect("add_cross_attention", false);
}

void pass_over_windows(const ConfigJson &config, ModelReader &reader, int64_t context) {
  static constexpr std::array<std::string_view, 5> kWindows = {
      "use_sliding_window", "sliding_window", "max_window_layers", "sliding_window_pattern",
      "layer_types"};
  const std::vector<std::string> unknown = config.unused_keys();
  const auto is_unknown = [&](std::string_view key) {
    return std::find(unknown.begin(), unknown.end(), key) != unknown.end();
  };
  bool slides = false;
  if (is_unknown("sliding_window")) {
    const absl::StatusOr<double> window = config.get_float("sliding_window");
    slides = window.ok() && *window > 0 && *window < static_cast<double>(context);
  }
  if (is_unknown("use_sliding_window"))
    slides = slides && config.get_bool_or("use_sliding_window", true).value_or(true);
  if (is_unknown("layer_types")) {
    const absl::StatusOr<std::vector<std::string>> kinds = config.get_strings("layer_types");
    slides |=
        kinds.ok() && std::find(kinds->begin(), kinds->end(), "sliding_attention") != kinds->end();
  }
  for (const std::string_view key : kWindows)
    if (is_unknown(key))
      reader.ignore({key});
  if (slides)
    reader.note("the config speaks of sliding windows, which transformers does not have in this "
                "family: every layer sees the whole sequence, as there");
}

} // namespace quern::hf
