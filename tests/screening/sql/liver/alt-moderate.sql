((coalesce(bool_or(marker = 'liver/alt' AND age <= 7776000000), false)
    OR coalesce(bool_or(marker = 'liver/ast' AND age <= 7776000000), false))
  AND (coalesce(bool_or(marker = 'liver/alt' AND age <= 8035200000 AND low >= upper_least * 5), false)
    OR coalesce(bool_or(marker = 'liver/ast' AND age <= 8035200000 AND low >= upper_least * 5), false)))
